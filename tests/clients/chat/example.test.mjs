// The protocol's own examples, driven as an app would drive them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { tsImport } from 'tsx/esm/api';

import { screenWith } from '../example/chat-screen.mjs';
import { as as loader } from '../example/load-messages.mjs';
import { connectAndJoin, send } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { publicUrl } from '../lib/environment.mjs';
import { mount, waiting } from '../lib/examples.mjs';
import { posted } from '../lib/rest.mjs';
import { assertConversation } from '../lib/shapes.mjs';

process.env.CHAT_URL = publicUrl;
const { ChatService } = await tsImport('../example/chat-service.ts', import.meta.url);

describe('the ChatService of example 1', () => {
  test('lets a patient and a consultant chat', async (t) => {
    // The class tells what it hears on the console, so that is where the test listens.
    const { changed, until } = waiting();
    const lines = [];
    t.mock.method(console, 'log', (...words) => {
      lines.push(words);
      changed();
    });
    const hears = (what) =>
      until(what, () => {
        const at = lines.findIndex(([first]) => first === what);
        return at < 0 ? undefined : { data: lines.splice(at, 1)[0][1] };
      }).then(({ data }) => data);
    const { consultant: user, patient, ids } = await newConversation();
    const service = new ChatService(patient.token);
    t.after(() => service.disconnect());

    const conversation = await service.createConversation(
      ids.consultantId,
      ids.patientId,
      ids.bookingId,
    );
    assertConversation(conversation, ids);
    assert.deepEqual(await service.getConversations(patient.id, 'patient'), [conversation]);
    const consultant = await connectAndJoin(t, user, conversation.id);

    // As in the example's usage: nothing is awaited before the first message.
    service.connect(patient.id, 'patient');
    service.joinConversation(conversation.id, patient.id, 'patient');
    service.sendMessage(conversation.id, 'Hello!', 'patient');
    const { message } = await consultant.next('new_message');
    assert.equal(message.content, 'Hello!');
    assert.deepEqual((await hears('New message:')).message, message);

    service.startTyping(conversation.id, patient.id, 'patient');
    await consultant.next('user_typing');
    service.stopTyping(conversation.id, patient.id);
    await consultant.next('user_stopped_typing');
    const typing = { conversationId: conversation.id, userId: user.id, userType: 'consultant' };
    consultant.emit('typing_start', typing);
    assert.equal((await hears('User typing:')).userId, user.id);
    consultant.emit('typing_stop', typing);
    await hears('User stopped typing');

    const reply = (await send(consultant, conversation.id, 'Good morning')).message;
    assert.equal((await hears('New message:')).message.id, reply.id);
    service.markAsRead(conversation.id, [reply.id]);
    assert.deepEqual((await consultant.next('messages_read')).messageIds, [reply.id]);
    consultant.emit('mark_read', { conversationId: conversation.id, messageIds: [message.id] });
    assert.deepEqual((await hears('Messages read:')).messageIds, [message.id]);

    const { messages } = await service.getMessages(conversation.id);
    assert.deepEqual(
      messages.map(({ content, isRead }) => [content, isRead]),
      [
        ['Good morning', true],
        ['Hello!', true],
      ],
    );
    assert.equal((await service.getMessages(conversation.id, 1, 1)).messages[0].id, message.id);
  });
});

describe('the ChatScreen of example 2', () => {
  test('shows what both say and leaves when it is closed', async (t) => {
    const { consultant: user, patient, conversationId } = await newConversation();
    const consultant = await connectAndJoin(t, user, conversationId);
    const props = {
      conversationId,
      userId: patient.id,
      userType: 'patient',
      token: patient.token,
    };

    const screen = mount(screenWith, props);
    const shows = (n) =>
      screen.until(`${n} messages`, () => {
        const { messages } = screen.render();
        return messages.length < n ? undefined : messages.map(({ content }) => content);
      });
    screen.render().sendMessage('Hello!');
    await consultant.next('new_message');
    await send(consultant, conversationId, 'Good morning');
    const shown = await shows(2);
    screen.render().sendMessage('Goodbye');
    screen.unmount();

    assert.deepEqual(shown, ['Hello!', 'Good morning']);
    await consultant.next('new_message', ({ message }) => message.content === 'Goodbye');
  });
});

describe('the pages of example 3', () => {
  test('are the newest messages first, page by page', async () => {
    const { patient, ids, conversationId } = await newConversation();
    for (let i = 1; i <= 45; i += 1) {
      await posted(patient, ids, `message ${i}`);
    }
    const loadMessages = loader(patient.token);

    const pages = [];
    for (const page of [1, 2, 3, 4]) {
      pages.push((await loadMessages(conversationId, page)).map(({ seq }) => seq));
    }

    const down = (from, to) => Array.from({ length: from - to + 1 }, (_, i) => from - i);
    assert.deepEqual(pages, [down(45, 26), down(25, 6), down(5, 1), []]);
  });
});
