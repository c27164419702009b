// Every request to another gateway: no affinity anywhere, and clients do not notice.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, POLLING, send, TRANSPORTS, UPGRADE } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { gateways } from '../lib/environment.mjs';

const lacks = gateways.length < 3 && 'the system was not started with `--gateways 3`';

/** Longer than the 25 seconds after which a server pings. */
const PINGED_MS = 40_000;

/** Returns the sum of a metric over all gateways that are there. */
async function metric(pattern) {
  const texts = await Promise.all(
    gateways.map(({ admin_url: url }) =>
      fetch(`${url}/metrics`).then(
        (response) => response.text(),
        () => '',
      ),
    ),
  );
  const values = texts.flatMap((text) => [...text.matchAll(pattern)].map(([, value]) => +value));
  return values.reduce((sum, value) => sum + value, 0);
}

const FORWARDS = /^chat_gateway_forwards_total\{outcome="answered"\} (\d+)/gm;
const TUNNELS = /^chat_gateway_tunnels (\d+)/gm;

describe('through a load balancer without affinity', { concurrency: 4, skip: lacks }, () => {
  for (const via of TRANSPORTS) {
    test(`two people talk, ${via.name}`, async (t) => {
      const { consultant, patient, conversationId } = await newConversation();
      const people = await Promise.all(
        [consultant, patient].map((user) => connectAndJoin(t, user, conversationId, { via })),
      );

      for (let i = 0; i < 10; i += 1) {
        await Promise.all(people.map((one) => send(one, conversationId, `${one.user.role} ${i}`)));
      }

      for (const one of people) {
        const seen = await one.collect('new_message', 20);
        assert.deepEqual(
          seen.map(({ message }) => message.seq),
          seen.map((_, i) => i + 1),
        );
        assert.deepEqual(one.all('(disconnect)'), []);
      }
    });

    test(`what is sent in one go arrives in its order, ${via.name}`, async (t) => {
      const { patient, conversationId } = await newConversation();
      const one = await connectAndJoin(t, patient, conversationId, { via });

      for (let i = 0; i < 100; i += 1) {
        one.emit('send_message', { conversationId, content: `${i}`, senderType: 'patient' });
      }

      const seen = await one.collect('new_message', 100);
      assert.deepEqual(
        seen.map(({ message }) => message.content),
        seen.map((_, i) => `${i}`),
      );
    });
  }

  test('polling requests reach gateways that do not have the session', async (t) => {
    const { patient, conversationId } = await newConversation();
    const before = await metric(FORWARDS);

    const one = await connectAndJoin(t, patient, conversationId, { via: POLLING });
    for (let i = 0; i < 10; i += 1) {
      await send(one, conversationId, `${i}`);
    }

    assert.ok((await metric(FORWARDS)) - before >= 10);
  });

  test('clients get their WebSocket wherever the upgrade lands', async (t) => {
    const { patient, conversationId } = await newConversation();

    // `connect` waits for the upgrade. One user may have eight sockets at one gateway.
    const clients = await Promise.all(
      Array.from({ length: 8 }, () => connectAndJoin(t, patient, conversationId, { via: UPGRADE })),
    );

    assert.notEqual(await metric(TUNNELS), 0, 'all landed where the session was, by chance');
    await send(clients[0], conversationId, 'hello');
    for (const one of clients) {
      assert.equal((await one.next('new_message')).message.content, 'hello');
      assert.deepEqual(one.all('(disconnect)'), []);
    }
  });

  for (const via of [POLLING, UPGRADE]) {
    test(`an idle client is pinged and stays, ${via.name}`, async (t) => {
      const { patient, conversationId } = await newConversation();
      const one = await connect(t, patient, { via });
      let pinged;
      one.socket.io.on('ping', () => {
        pinged = true;
        one.emit('join_conversation', {
          conversationId,
          userId: patient.id,
          userType: patient.role,
        });
      });

      await one.next('joined_conversation', () => pinged, PINGED_MS);

      assert.deepEqual(one.all('(disconnect)'), []);
    });
  }
});
