// Why a device did not get a message: each cause, made with stock clients, and the hop that is named.
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, test } from 'node:test';

import { POLLING, connect, connectAndJoin, gateway, send } from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { app as consult, booking, serviceToken, stores } from '../lib/environment.mjs';
import { ownGateway } from '../lib/own-gateway.mjs';
import { comeBack, drop } from '../lib/recovery.mjs';
import { DEADLINE_MS, as, posted } from '../lib/rest.mjs';
import { connectRoot, newBooking } from '../lib/root.mjs';

const store = stores.at(-1).internal_url;
const authorization = `Bearer ${serviceToken}`;

/** Asks what became of a message for a user. */
async function journey(id, user, app = consult) {
  const query = new URLSearchParams({ user: user.id });
  const url = `${store}/internal/v1/apps/${app.name}/messages/${id}/journey?${query}`;
  const response = await fetch(url, { headers: { authorization, 'chat-actor': 'olga' } });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

/** Asks until the verdict is `code`: receipts and events take their time. */
async function journeyOf(code, hop, ...of) {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const found = await journey(...of);
    if (found.verdict.code === code) {
      assert.equal(found.verdict.hop, hop);
      return found;
    }
    assert.ok(performance.now() < deadline, `${code} is not said: ${JSON.stringify(found)}`);
  }
}

/** Starts a gateway beside the others, to be killed. */
const consultGateway = (t) =>
  ownGateway(
    t,
    `[apps.${consult.name}]\ndialect = "consult"\n
     [[apps.${consult.name}.keys]]\nalgorithm = "HS256"\nsecret = "${consult.secret}"\n`,
  );

/** Waits until a contact is told that a user is there: so stores have heard of the device. */
async function online(user, contact) {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const { data } = await as(contact).get('/chat/presence', { params: { userIds: user.id } });
    if (data[0].isOnline) return;
    assert.ok(performance.now() < deadline, 'nobody is told that the user is there');
  }
}

describe('the journey of a message', { concurrency: 4 }, () => {
  test('ends at a device that has it', async (t) => {
    const { consultant, patient, ids, conversationId } = await newConversation();
    const client = await connect(t, patient, { url: gateway(0) });
    const { message } = await posted(consultant, ids, 'a secret');
    await client.next('new_message');

    const found = await journeyOf('delivered', 'client', message.id, patient);

    assert.equal(found.message.conversationId, conversationId);
    assert.deepEqual(
      found.devices.map(({ socketId, state }) => ({ socketId, state })),
      [{ socketId: client.socket.id, state: 'written' }],
    );
    assert.ok(found.hops.some(({ what, detail }) => what === 'written' && detail === 'event'));
    assert.ok(!JSON.stringify(found).includes('a secret'));
  });

  test('ends where nobody is, or nobody who may see it', async () => {
    const { consultant, patient, ids } = await newConversation();
    const { message } = await posted(consultant, ids, 'nobody is there');
    const stranger = await newUser('patient');

    const { devices } = await journeyOf('no_device_connected', 'socket', message.id, patient);
    await journeyOf('not_a_participant', 'membership', message.id, stranger);

    assert.deepEqual(devices, []);
  });

  test('waits at a client that does not read, and goes on when it does', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const sender = await connectAndJoin(t, consultant, conversationId, { url: gateway(0) });
    const slow = await connect(t, patient, { url: gateway(1), via: POLLING });
    const { transport } = slow.socket.io.engine;
    const poll = transport._poll;
    transport._poll = () => {};
    await send(sender, conversationId, 'the last that it reads');
    await slow.next('new_message');

    // More than may wait for a client.
    const long = 'x'.repeat(4_000);
    const sent = await Promise.all(
      Array.from({ length: 100 }, () => send(sender, conversationId, long)),
    );
    const all = sent.map(({ message }) => message).sort((one, other) => one.seq - other.seq);
    const [first, last] = [all[0], all.at(-1)];
    await journeyOf('waiting_for_client', 'socket', first.id, patient);
    await journeyOf('held_back_slow_reader', 'socket', last.id, patient);
    transport._poll = poll;
    transport._poll();
    await slow.collect('new_message', all.length + 1);

    const { hops } = await journeyOf('delivered', 'client', last.id, patient);
    const whats = hops.map(({ what, detail }) => (what === 'written' ? detail : what));
    assert.ok(whats.indexOf('no_room') < whats.indexOf('refill'), whats.join());
  });

  test('goes on when the device is back at another gateway', async (t) => {
    const { consultant, patient, ids } = await newConversation();
    const client = await connect(t, patient, { url: gateway(0) });
    await posted(consultant, ids, 'before');
    await client.next('new_message');
    await drop(client);
    const { message } = await posted(consultant, ids, 'missed');

    await journeyOf('no_device_connected', 'socket', message.id, patient);
    await comeBack(client, 1);
    await client.next('new_message', (data) => data.message.id === message.id);

    const { devices } = await journeyOf('delivered', 'client', message.id, patient);
    assert.equal(devices.length, 1);
    assert.equal(devices[0].socketId, client.socket.id);
    assert.equal(devices[0].connections.length, 2);
  });

  test('ends at a token that was revoked', async (t) => {
    const { consultant, patient, ids } = await newConversation();
    const client = await connect(t, patient);
    const response = await fetch(`${store}/internal/v1/apps/${consult.name}/revocations`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ userId: patient.id }),
    });
    assert.equal(response.status, 204);
    await client.next('(disconnect)');
    const { message } = await posted(consultant, ids, 'to nobody any more');

    const { devices } = await journeyOf('revoked', 'token', message.id, patient);

    const [{ endedBecause }] = devices[0].connections;
    assert.deepEqual([devices[0].state, endedBecause], ['revoked', 'revoked']);
  });

  test('ends at a socket that did not join', async (t) => {
    const { owner, client: user, bookingId } = await newBooking();
    const outside = await connectRoot(t, owner, { url: gateway(0) });
    const client = await connectRoot(t, user, { url: gateway(1) });
    const message = { bookingId, content: 'Hi', senderType: 'client' };
    const ack = await client.ask('sendMessage', message);
    assert.equal(ack.ok, true);

    const found = await journeyOf('not_joined', 'session', ack.message._id, owner, booking);

    assert.equal(found.devices[0].socketId, outside.socket.id);
  });

  test('is not known where a gateway was killed, however long it had the device', async (t) => {
    for (const isNoted of [true, false]) {
      const { consultant, patient, ids } = await newConversation();
      const own = await consultGateway(t);
      const client = await connect(t, patient, { url: own.url });
      if (isNoted) {
        const { message } = await posted(consultant, ids, 'before');
        await journeyOf('delivered', 'client', message.id, patient);
      } else {
        await online(patient, consultant);
      }
      // It hears of nothing any more, and says nothing.
      process.kill(own.pid, 'SIGSTOP');
      const { message } = await posted(consultant, ids, 'to a gateway that dies');
      process.kill(own.pid, 'SIGKILL');
      await client.next('(disconnect)');

      const found = await journeyOf('journal_incomplete', 'gateway', message.id, patient);

      assert.ok(found.devices.every(({ state }) => state === 'silent'));
      assert.ok(!isNoted || found.devices.length === 1);
    }
  });
});
