// Delivered, read, and what a client does to learn what it missed.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, gateway, send } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { as, history } from '../lib/rest.mjs';

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

    const told = await sender.collect('messages_read', 2);
    assert.deepEqual(told.flatMap(({ messageIds }) => messageIds).sort(), [theirs, next].sort());
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
