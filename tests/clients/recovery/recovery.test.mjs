// Stock clients that come back are where they were: what they missed is sent once and in order,
// whichever gateway they come back to.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  POLLING,
  TRANSPORTS,
  WEBSOCKET,
  connect,
  connectAndJoin,
  gateway,
  join,
  send,
} from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { assertCaughtUp, comeBack, drop, reconnect } from '../lib/recovery.mjs';
import { as, posted } from '../lib/rest.mjs';

/** Two people, the patient's client at gateway 0. */
async function pair(t, via = WEBSOCKET) {
  const talk = await newConversation();
  const patient = await connectAndJoin(t, talk.patient, talk.conversationId, {
    url: gateway(0),
    via,
  });
  return { ...talk, client: patient, say: (text) => posted(talk.consultant, talk.ids, text) };
}

/** Posts `count` messages, some at a time. */
async function sayMany({ consultant, ids }, count) {
  for (let n = 0; n < count; n += 20) {
    const some = Array.from({ length: Math.min(20, count - n) }, (_, i) => n + i);
    await Promise.all(some.map((i) => posted(consultant, ids, `message ${i}`)));
  }
}

describe('a client that comes back', { concurrency: true }, () => {
  for (const via of TRANSPORTS) {
    for (const at of [0, 1]) {
      const where = at === 0 ? 'the same gateway' : 'another gateway';
      test(`to ${where} is told what it missed (${via.name})`, async (t) => {
        const talk = await pair(t, via);
        const { client, conversationId, say } = talk;
        await say('before');
        await assertCaughtUp(client, conversationId, 1);
        const id = client.socket.id;

        assert.equal(await reconnect(client, at), true, 'nothing missed');
        assert.equal(client.socket.id, id);
        await drop(client);
        await say('missed');
        await comeBack(client, at);
        assert.equal(client.socket.recovered, true, 'one missed');
        await assertCaughtUp(client, conversationId, 2);

        await say('after');
        await assertCaughtUp(client, conversationId, 3);
        assert.deepEqual(client.all('resync'), []);
      });
    }
  }

  test('before it was told anything is told what it missed', async (t) => {
    const talk = await newConversation();
    await posted(talk.consultant, talk.ids, 'before it came');
    const client = await connect(t, talk.patient, { url: gateway(0) });

    await drop(client);
    await posted(talk.consultant, talk.ids, 'missed');
    await comeBack(client, 1);

    assert.equal(client.socket.recovered, true);
    await assertCaughtUp(client, talk.conversationId, 2, 2);
  });

  test('to a thousand messages gets each once and in order', { timeout: 120_000 }, async (t) => {
    const talk = await pair(t);
    const { client, conversationId, say } = talk;
    await say('before');
    await assertCaughtUp(client, conversationId, 1);

    await drop(client);
    await sayMany(talk, 1_000);
    await comeBack(client, 1);

    assert.equal(client.socket.recovered, true);
    await assertCaughtUp(client, conversationId, 1_001);
    await say('after');
    await assertCaughtUp(client, conversationId, 1_002);
  });

  test('again and again, also in the middle of a replay, misses nothing', async (t) => {
    const talk = await pair(t);
    const { client, conversationId, say } = talk;
    await say('before');
    await assertCaughtUp(client, conversationId, 1);
    await drop(client);
    await sayMany(talk, 300);

    let last = 301;
    for (let round = 0; round < 6; round += 1) {
      await comeBack(client, round);
      assert.equal(client.socket.recovered, true, `round ${round}`);
      // Not waited for: wherever the replay is, the connection ends there.
      last = (await say(`round ${round}`)).message?.seq ?? last + 1;
      await drop(client);
    }
    await comeBack(client, 0);

    await assertCaughtUp(client, conversationId, last);
    assert.deepEqual(client.all('resync'), []);
  });

  test('while others write gets every message once', async (t) => {
    const talk = await pair(t);
    const { client, conversationId } = talk;
    await talk.say('before');
    await assertCaughtUp(client, conversationId, 1);

    const writing = sayMany(talk, 200);
    for (let round = 0; round < 4; round += 1) {
      assert.equal(await reconnect(client, round), true, `round ${round}`);
    }
    await writing;

    await assertCaughtUp(client, conversationId, 201);
  });

  test('has its rooms back, those that it left too', async (t) => {
    const talk = await pair(t);
    const { client, conversationId } = talk;
    const other = await newConversation({ patient: talk.patient });
    await join(client, other.conversationId);
    client.emit('leave_conversation', { conversationId: other.conversationId });
    await client.next('left_conversation');
    const consultant = await connectAndJoin(t, talk.consultant, conversationId, {
      url: gateway(2),
    });

    await drop(client);
    await posted(other.consultant, other.ids, 'into a room that was left');
    await comeBack(client, 1);
    assert.equal(client.socket.recovered, true);
    await posted(other.consultant, other.ids, 'again');
    consultant.emit('typing_start', {
      conversationId,
      userId: talk.consultant.id,
      userType: 'consultant',
    });

    await client.next('user_typing');
    await talk.say('a later one');
    await assertCaughtUp(client, conversationId, 1);
    const others = client.all('new_message');
    assert.equal(others.length, 1, 'nothing of the room that was left');
  });

  test('is told what was read and delivered meanwhile', async (t) => {
    const talk = await pair(t);
    const { client, conversationId } = talk;
    const sent = await send(client, conversationId, 'read me');
    const { id } = sent.message;

    await drop(client);
    const consultant = await connectAndJoin(t, talk.consultant, conversationId, {
      url: gateway(2),
    });
    const path = `/chat/conversations/${conversationId}/messages`;
    await as(talk.consultant).get(path);
    const read = await consultant.ask('mark_read', {
      conversationId,
      messageIds: [id],
      userId: talk.consultant.id,
    });
    assert.deepEqual(read.data.messageIds, [id]);
    await comeBack(client, 1);

    assert.equal(client.socket.recovered, true);
    const marked = await client.next('messages_read');
    assert.deepEqual(marked, { ...marked, conversationId, messageIds: [id] });
    const delivered = await client.next('message_delivered');
    assert.equal(delivered.userId, talk.consultant.id);
    assert.deepEqual(delivered.messageIds, [id]);
  });

  test('is told of a conversation that began meanwhile', async (t) => {
    const talk = await pair(t);
    const { client } = talk;
    await talk.say('before');
    await assertCaughtUp(client, talk.conversationId, 1);

    await drop(client);
    const other = await newConversation({ patient: talk.patient });
    await posted(other.consultant, other.ids, 'the first');
    await posted(other.consultant, other.ids, 'the second');
    await comeBack(client, 1);

    assert.equal(client.socket.recovered, true);
    await assertCaughtUp(client, other.conversationId, 2);
  });

  test('is one of two devices, and the other one is told nothing twice', async (t) => {
    const talk = await pair(t);
    const { client, conversationId, say } = talk;
    const other = await connect(t, talk.patient, { url: gateway(1), via: POLLING });
    await say('before');
    await assertCaughtUp(client, conversationId, 1);

    await drop(client);
    await say('missed by one');
    await assertCaughtUp(other, conversationId, 2);
    await comeBack(client, 1);
    await assertCaughtUp(client, conversationId, 2);

    await say('after');
    await assertCaughtUp(client, conversationId, 3);
    await assertCaughtUp(other, conversationId, 3);
  });

  test('sends on what it said while it was away', async (t) => {
    const { client, conversationId } = await pair(t);
    await send(client, conversationId, 'before');

    await drop(client);
    const said = send(client, conversationId, 'while it was away');
    await comeBack(client, 1);

    assert.equal((await said).message.seq, 2);
    await assertCaughtUp(client, conversationId, 2);
  });
});
