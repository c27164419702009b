// What holds for every message: stored before it is confirmed, in order, once; see the contract's
// section on messages.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, gateway, join, POLLING, send } from '../lib/client.mjs';
import { newConsultation, newConversation } from '../lib/directory.mjs';
import { history, posted } from '../lib/rest.mjs';
import { assertRejected } from '../lib/shapes.mjs';

const BURST_DEADLINE_MS = 60_000;

const contents = (client) => client.all('new_message').map(({ message }) => message.content);
const seqs = (client) => client.all('new_message').map(({ message }) => message.seq);
const says = (content) => (data) => data.message.content === content;

describe('a clientMessageId', { concurrency: 4 }, () => {
  test('stores a message once, on every socket, gateway and way', async (t) => {
    const { consultant, patient, ids, conversationId } = await newConversation();
    const receiver = await connectAndJoin(t, consultant, conversationId, { url: gateway(1) });
    const key = { clientMessageId: randomUUID() };

    const first = await connectAndJoin(t, patient, conversationId, { url: gateway(0) });
    const original = await send(first, conversationId, 'once', key);
    const repeated = await send(first, conversationId, 'once', key);
    first.close();
    const second = await connectAndJoin(t, patient, conversationId, { url: gateway(0) });
    const reconnected = await send(second, conversationId, 'once', key);
    const third = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });
    const elsewhere = await send(third, conversationId, 'once', key);
    const byRest = await posted(patient, ids, 'once', key);
    await send(third, conversationId, 'the next');

    assert.equal(original.message.clientMessageId, key.clientMessageId);
    for (const { message } of [repeated, reconnected, elsewhere, byRest]) {
      assert.equal(message.id, original.message.id);
      assert.equal(message.seq, 1);
    }
    await receiver.next('new_message', says('the next'));
    assert.deepEqual(contents(receiver), ['once', 'the next']);
    assert.deepEqual(seqs(receiver), [1, 2]);
  });

  test('stores a message once when it is sent on two gateways at the same time', async (t) => {
    const { patient, conversationId } = await newConversation();
    const clients = await Promise.all(
      [0, 1, 0, 1].map((i) => connectAndJoin(t, patient, conversationId, { url: gateway(i) })),
    );
    const key = { clientMessageId: randomUUID() };

    const confirmed = await Promise.all(
      clients.map((client) => send(client, conversationId, 'at once', key)),
    );

    assert.equal(new Set(confirmed.map(({ message }) => message.id)).size, 1);
    assert.equal((await history(patient, conversationId)).length, 1);
  });

  test('is a conflict with another content', async (t) => {
    const { patient, conversationId } = await newConversation();
    const client = await connectAndJoin(t, patient, conversationId);
    const key = { clientMessageId: randomUUID() };
    await send(client, conversationId, 'one thing', key);

    const answer = await client.ask('send_message', {
      conversationId,
      content: 'another thing',
      senderType: 'patient',
      ...key,
    });

    await assertRejected(client, answer, { event: 'send_message', code: 'conflict' });
    assert.equal((await history(patient, conversationId)).length, 1);
  });

  test('belongs to its sender and conversation', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const elsewhere = await newConversation();
    const key = { clientMessageId: 'temp-1' };
    const one = await connectAndJoin(t, consultant, conversationId);
    const two = await connectAndJoin(t, patient, conversationId);
    const three = await connectAndJoin(t, elsewhere.patient, elsewhere.conversationId);

    const confirmed = [
      await send(one, conversationId, 'from one', key),
      await send(two, conversationId, 'from two', key),
      await send(three, elsewhere.conversationId, 'from three', key),
    ];

    assert.equal(new Set(confirmed.map(({ message }) => message.id)).size, 3);
  });
});

describe('messages', { concurrency: 2 }, () => {
  test('a burst of 500 comes to every device in order and once', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const receivers = await Promise.all([
      connectAndJoin(t, consultant, conversationId, { url: gateway(1) }),
      connectAndJoin(t, patient, conversationId, { url: gateway(0) }),
      connectAndJoin(t, patient, conversationId, { url: gateway(1) }),
      connectAndJoin(t, patient, conversationId, { url: gateway(1), via: POLLING }),
    ]);
    const sent = Array.from({ length: 500 }, (_, i) => `message ${i + 1}`);

    for (const content of sent) {
      sender.emit('send_message', { conversationId, content, senderType: 'consultant' });
    }
    const confirmed = await sender.collect('message_sent', 500, BURST_DEADLINE_MS);
    const last = await connectAndJoin(t, consultant, conversationId, { url: gateway(1) });
    await send(last, conversationId, 'the last');

    assert.deepEqual(
      confirmed.map(({ message }) => message.content),
      sent,
    );
    for (const client of [sender, ...receivers]) {
      await client.next('new_message', says('the last'), BURST_DEADLINE_MS);
      assert.deepEqual(contents(client), [...sent, 'the last']);
      assert.deepEqual(
        seqs(client),
        Array.from({ length: 501 }, (_, i) => i + 1),
      );
    }
    assert.deepEqual(sender.all('error'), []);
  });

  test('of two who write at the same time have one order for everybody', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const clients = await Promise.all([
      connectAndJoin(t, consultant, conversationId, { url: gateway(0) }),
      connectAndJoin(t, patient, conversationId, { url: gateway(1) }),
    ]);

    for (let i = 1; i <= 50; i += 1) {
      for (const client of clients) {
        const { role } = client.user;
        client.emit('send_message', { conversationId, content: `${role} ${i}`, senderType: role });
      }
    }
    for (const client of clients) {
      await client.collect('new_message', 100, BURST_DEADLINE_MS);
    }

    const stored = await history(patient, conversationId);
    const told = (client) => client.all('new_message').map(({ message }) => message.id);
    assert.deepEqual(
      stored.map(({ seq }) => seq),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    for (const client of clients) {
      assert.deepEqual(
        told(client),
        stored.map(({ id }) => id),
      );
      const { role } = client.user;
      const own = stored.filter(({ senderType }) => senderType === role);
      assert.deepEqual(
        own.map(({ content }) => content),
        Array.from({ length: 50 }, (_, i) => `${role} ${i + 1}`),
      );
    }
  });

  test('come to every device of both users, joined or not', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const devices = await Promise.all(
      [consultant, consultant, patient, patient].map((user, i) =>
        connect(t, user, { url: gateway(i) }),
      ),
    );
    const sender = await connectAndJoin(t, patient, conversationId, { url: gateway(0) });

    await send(sender, conversationId, 'for all');

    for (const device of devices) {
      assert.equal((await device.next('new_message')).message.content, 'for all');
      assert.deepEqual(device.all('message_sent'), []);
    }
  });

  test('stay away from a device that left until it joins again', async (t) => {
    const { consultant, patient: user, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const patient = await connectAndJoin(t, user, conversationId, { url: gateway(1) });
    const reader = await connectAndJoin(t, user, conversationId, { url: gateway(0) });
    const witness = await connectAndJoin(t, user, conversationId, { url: gateway(1) });
    await patient.ask('leave_conversation', { conversationId });

    sender.emit('typing_start', { conversationId, userId: consultant.id, userType: 'consultant' });
    const { message } = await send(sender, conversationId, 'while away');
    reader.emit('mark_read', { conversationId, messageIds: [message.id] });
    // A device on the same gateway that stayed: what it heard, the other would have heard as well.
    for (const event of ['user_typing', 'new_message', 'messages_read']) {
      await witness.next(event);
    }
    await patient.next('left_conversation');
    await join(patient, conversationId);
    await send(sender, conversationId, 'back again');

    await patient.next('new_message', says('back again'));
    assert.deepEqual(contents(patient), ['back again']);
    assert.deepEqual(patient.all('user_typing'), []);
    assert.deepEqual(patient.all('messages_read'), []);
  });

  test('can be sent without joining, and by a payload wrapped in data', async (t) => {
    const { consultant, patient: user, conversationId } = await newConversation();
    const receiver = await connect(t, consultant, { url: gateway(1) });
    const patient = await connect(t, user, { url: gateway(0) });

    const sent = await patient.ask('send_message', {
      data: { conversationId, content: 'wrapped', senderType: 'patient' },
    });
    const joined = await patient.ask('join_conversation', {
      data: { conversationId, userId: user.id, userType: 'patient' },
    });

    assert.equal(sent.event, 'message_sent');
    assert.equal(joined.event, 'joined_conversation');
    await receiver.next('new_message', says('wrapped'));
  });

  test('keep any text as it is, without the space around it', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const receiver = await connect(t, consultant, { url: gateway(1) });
    const sender = await connectAndJoin(t, patient, conversationId, { url: gateway(0) });

    for (const content of [
      '<script>alert(1)</script>',
      `'; DROP TABLE messages; --`,
      'line\r\nline\tend "quoted" \\ \u2028 \u0001',
      'مرحبا \u202Eשלום 🩺👩🏽‍⚕️',
      '🩺'.repeat(4000),
      ' \n around \t',
    ]) {
      const { message } = await send(sender, conversationId, content);
      assert.equal(message.content, content.trim());
      await receiver.next('new_message', says(content.trim()));
    }
  });

  test('of every type carry their file', async (t) => {
    const { patient, conversationId } = await newConversation();
    const client = await connectAndJoin(t, patient, conversationId);
    const fileUrl = 'https://files.example.org/scan.png';

    const plain = await send(client, conversationId, 'Hello');
    assert.equal(plain.message.messageType, 'text');
    for (const messageType of ['file', 'image', 'voice']) {
      const file = { messageType, fileUrl, fileName: 'scan.png' };
      const { message } = await send(client, conversationId, '', file);
      assert.equal(message.messageType, messageType);
      assert.equal(message.fileUrl, fileUrl);
      assert.equal(message.fileName, 'scan.png');
      assert.equal(message.content, '');
    }
  });
});

describe('the id of a booking', { concurrency: 4 }, () => {
  test('as conversationId creates its conversation once, however many send at once', async (t) => {
    const { consultant, patient, bookingId, ids } = await newConsultation();
    const users = [consultant, patient];
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, i) => connect(t, users[i % 2], { url: gateway(i >> 1) })),
    );
    const confirmed = await Promise.all([
      ...clients.map((client, i) => send(client, bookingId, `socket ${i}`)),
      ...Array.from({ length: 8 }, (_, i) => posted(users[i % 2], ids, `rest ${i}`)),
    ]);

    const conversations = new Set(confirmed.map(({ conversation }) => conversation.id));
    assert.equal(conversations.size, 1);
    const [conversationId] = conversations;
    const stored = await history(patient, conversationId);
    assert.deepEqual(
      stored.map(({ id }) => id).sort(),
      confirmed.map(({ message }) => message.id).sort(),
    );
    assert.deepEqual(
      stored.map(({ seq }) => seq),
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  test('is unknown to those who are not its participants', async (t) => {
    const { patient } = await newConsultation();
    const others = await newConsultation();
    const client = await connect(t, patient);

    const answer = await client.ask('send_message', {
      conversationId: others.bookingId,
      content: 'Hello',
      senderType: 'patient',
    });

    await assertRejected(client, answer, {
      event: 'send_message',
      code: ['unauthorized', 'not_found'],
    });
  });
});
