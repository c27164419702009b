// What holds for every message: stored before it is confirmed, in order, once; see the contract's
// section on messages.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, gateway, join, POLLING, send } from '../lib/client.mjs';
import { newConsultation, newConversation } from '../lib/directory.mjs';
import { as, history } from '../lib/rest.mjs';
import { assertFailed, assertRejected } from '../lib/shapes.mjs';

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
    const byRest = await as(patient).post('/chat/messages', {
      ...ids,
      ...key,
      content: 'once',
      senderType: 'patient',
    });
    await send(third, conversationId, 'the next');

    assert.equal(original.message.clientMessageId, key.clientMessageId);
    for (const { message } of [repeated, reconnected, elsewhere, byRest.data]) {
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
    const otherDevice = await connectAndJoin(t, user, conversationId, { url: gateway(1) });
    await patient.ask('leave_conversation', { conversationId });

    sender.emit('typing_start', { conversationId, userId: consultant.id, userType: 'consultant' });
    const { message } = await send(sender, conversationId, 'while away');
    await otherDevice.next('user_typing');
    await otherDevice.next('new_message', says('while away'));
    otherDevice.emit('mark_read', { conversationId, messageIds: [message.id] });
    await sender.next('messages_read');
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
    const byRest = (user, i) =>
      as(user)
        .post('/chat/messages', { ...ids, content: `rest ${i}`, senderType: user.role })
        .then(({ data }) => data);

    const confirmed = await Promise.all([
      ...clients.map((client, i) => send(client, bookingId, `socket ${i}`)),
      ...Array.from({ length: 8 }, (_, i) => byRest(users[i % 2], i)),
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

    await watcher.next('new_message', says('still between us'));
    assert.deepEqual(contents(watcher), ['between us', 'still between us']);
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

describe('receipts', { concurrency: 4 }, () => {
  /** Waits until `client` was told the delivery of all of `ids`, and returns what it was told. */
  const delivered = (client, ids) =>
    client.until(() => {
      const told = client.all('message_delivered');
      const covered = new Set(told.flatMap(({ messageIds }) => messageIds));
      return ids.every((id) => covered.has(id)) ? told : undefined;
    }, 'message_delivered');

  test('tell every device of the sender that messages reached a socket', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const otherDevice = await connect(t, consultant, { url: gateway(1) });
    await connect(t, patient, { url: gateway(1) });

    const ids = [];
    for (let i = 0; i < 5; i += 1) {
      ids.push((await send(sender, conversationId, `message ${i}`)).message.id);
    }

    for (const client of [sender, otherDevice]) {
      for (const told of await delivered(client, ids)) {
        assert.equal(told.conversationId, conversationId);
        assert.equal(told.userId, patient.id);
        assert.ok(Date.parse(told.deliveredAt));
      }
    }
    const stored = await history(consultant, conversationId);
    assert.ok(stored.every(({ deliveredAt }) => Date.parse(deliveredAt)));
  });

  test('tell the sender that messages were fetched by REST', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId);
    const { message } = await send(sender, conversationId, 'for later');

    await history(patient, conversationId);

    const [told] = await delivered(sender, [message.id]);
    assert.equal(told.userId, patient.id);
    assert.equal(sender.all('message_delivered').length, 1);
  });

  test('list only what was really marked as read', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const elsewhere = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const reader = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });
    const stranger = await connect(t, elsewhere.patient);
    const theirs = (await send(sender, conversationId, 'theirs')).message.id;
    const own = (await send(reader, conversationId, 'own')).message.id;
    const foreign = (await send(stranger, elsewhere.conversationId, 'foreign')).message.id;
    const read = async (...messageIds) =>
      (await reader.ask('mark_read', { conversationId, messageIds })).data.messageIds;

    assert.deepEqual(await read(own, theirs, foreign, randomUUID(), theirs), [theirs]);
    assert.deepEqual(await read(theirs), []);
    const next = (await send(sender, conversationId, 'the next')).message.id;
    assert.deepEqual(await read(next), [next]);

    await sender.next('messages_read', ({ messageIds }) => messageIds.includes(next));
    const told = sender.all('messages_read').map(({ messageIds }) => messageIds);
    assert.deepEqual(told, [[theirs], [next]]);
  });

  test('of reading come to the other devices of the reader too', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const reader = await connectAndJoin(t, patient, conversationId, { url: gateway(0) });
    const otherDevice = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });
    const { message } = await send(sender, conversationId, 'Hello');

    await reader.ask('mark_read', { conversationId, messageIds: [message.id] });

    for (const client of [sender, otherDevice]) {
      assert.deepEqual((await client.next('messages_read')).messageIds, [message.id]);
    }
  });
});

describe('catching up', { concurrency: 4 }, () => {
  test('sync returns what came after each position', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId);
    for (const content of ['one', 'two', 'three']) {
      await send(sender, conversationId, content);
    }
    const client = await connect(t, patient, { url: gateway(1) });

    const answer = await client.ask('sync', { since: { [conversationId]: 1 } });

    assert.equal(answer.event, 'sync_result');
    assert.deepEqual(await client.next('sync_result'), answer.data);
    const [synced] = answer.data.conversations;
    assert.equal(synced.conversationId, conversationId);
    assert.deepEqual(
      synced.messages.map(({ content, seq }) => [content, seq]),
      [
        ['two', 2],
        ['three', 3],
      ],
    );
    assert.equal(synced.more, false);
  });

  test('sync keeps conversations of others to itself', async (t) => {
    const { patient } = await newConversation();
    const elsewhere = await newConversation();
    const stranger = await connect(t, elsewhere.patient);
    await send(stranger, elsewhere.conversationId, 'private');
    const client = await connect(t, patient);

    const answer = await client.ask('sync', { since: { [elsewhere.conversationId]: 0 } });

    assert.doesNotMatch(JSON.stringify(answer), /private/);
  });

  test('afterSeq pages through all that was missed', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId);
    for (let i = 1; i <= 25; i += 1) {
      sender.emit('send_message', { conversationId, content: `${i}`, senderType: 'consultant' });
    }
    await sender.collect('message_sent', 25);
    const after = async (afterSeq) => {
      const url = `/chat/conversations/${conversationId}/messages`;
      const { data } = await as(patient).get(url, { params: { afterSeq, limit: 10 } });
      return data.messages.map(({ seq }) => seq);
    };

    assert.deepEqual(await after(0), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert.deepEqual(await after(10), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    assert.deepEqual(await after(20), [21, 22, 23, 24, 25]);
  });
});
