// What happens in the room of a conversation: who is let in, and typing.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, gateway, join, send } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { as } from '../lib/rest.mjs';
import { assertFailed, assertRejected } from '../lib/shapes.mjs';

describe('typing', { concurrency: 4 }, () => {
  const typing = ({ user }, { conversationId }) => ({
    conversationId,
    userId: user.id,
    userType: user.role,
  });

  test('stops by itself', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const watcher = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const typist = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });

    typist.emit('typing_start', typing(typist, { conversationId }));

    await watcher.next('user_typing');
    assert.deepEqual(await watcher.next('user_stopped_typing'), {
      conversationId,
      userId: patient.id,
    });
  });

  for (const [how, part] of [
    ['drops', (typist) => typist.socket.io.engine.close()],
    ['disconnects', (typist) => typist.close()],
    ['leaves', (typist, conversationId) => typist.emit('leave_conversation', { conversationId })],
  ]) {
    test(`stops at once when the typist ${how}`, async (t) => {
      const first = await newConversation();
      const { patient } = first;
      const second = await newConversation({ patient });
      const watcher = await connectAndJoin(t, patient, first.conversationId, { url: gateway(0) });
      await join(watcher, second.conversationId);
      const [slow, typist] = await Promise.all(
        [first, second].map(({ consultant, conversationId }) =>
          connectAndJoin(t, consultant, conversationId, { url: gateway(1) }),
        ),
      );

      // One began earlier and stays: the stop of the other comes first only if it is told at once.
      slow.emit('typing_start', typing(slow, first));
      await watcher.next('user_typing');
      typist.emit('typing_start', typing(typist, second));
      await watcher.next('user_typing');
      part(typist, second.conversationId);

      const stopped = await watcher.next('user_stopped_typing');
      assert.equal(stopped.userId, second.consultant.id);
    });
  }

  test('is the user of the token, whatever the payload says', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const watcher = await connectAndJoin(t, consultant, conversationId);
    const typist = await connectAndJoin(t, patient, conversationId);

    typist.emit('typing_start', {
      conversationId,
      userId: consultant.id,
      userType: 'consultant',
    });

    assert.deepEqual(await watcher.next('user_typing'), {
      conversationId,
      userId: patient.id,
      userType: 'patient',
    });
  });
});

describe('who takes no part', { concurrency: 4 }, () => {
  test('can neither join, send, type, read nor fetch, and nobody notices', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const { consultant: stranger } = await newConversation();
    const watcher = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const other = await connectAndJoin(t, patient, conversationId, { url: gateway(0) });
    const { message } = await send(other, conversationId, 'between us');
    const intruder = await connect(t, stranger, { url: gateway(1) });
    const own = { conversationId, userId: stranger.id, userType: stranger.role };

    for (const [event, payload] of [
      ['join_conversation', own],
      ['send_message', { conversationId, content: 'Hello', senderType: stranger.role }],
      ['typing_start', own],
      ['typing_stop', own],
      ['mark_read', { conversationId, messageIds: [message.id] }],
    ]) {
      const answer = await intruder.ask(event, payload);
      await assertRejected(intruder, answer, { event, code: 'unauthorized' });
    }
    const url = `/chat/conversations/${conversationId}/messages`;
    assertFailed(await as(stranger).get(url), 403);
    await send(other, conversationId, 'still between us');

    await watcher.collect('new_message', 2);
    const heard = watcher.all('new_message').map(({ message }) => message.content);
    assert.deepEqual(heard, ['between us', 'still between us']);
    assert.deepEqual(watcher.all('user_typing'), []);
    assert.deepEqual(other.all('messages_read'), []);
    assert.deepEqual(intruder.all('new_message'), []);
  });

  test('learns that an unknown conversation is not found', async (t) => {
    const { patient: user } = await newConversation();
    const client = await connect(t, user);
    const conversationId = randomUUID();
    const own = { conversationId, userId: user.id, userType: user.role };

    for (const [event, payload] of [
      ['join_conversation', own],
      ['send_message', { conversationId, content: 'Hello', senderType: user.role }],
      ['typing_start', own],
      ['mark_read', { conversationId, messageIds: [randomUUID()] }],
    ]) {
      const answer = await client.ask(event, payload);
      await assertRejected(client, answer, { event, code: 'not_found' });
    }
  });

  test('cannot pose as another user or role', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const client = await connectAndJoin(t, patient, conversationId);
    const own = { conversationId, userId: patient.id, userType: 'patient' };

    for (const [event, payload] of [
      ['join_conversation', { ...own, userId: consultant.id }],
      ['join_conversation', { ...own, userType: 'consultant' }],
      ['send_message', { conversationId, content: 'Hello', senderType: 'consultant' }],
    ]) {
      const answer = await client.ask(event, payload);
      await assertRejected(client, answer, { event, code: 'unauthorized' });
    }
  });
});
