// Who is there, as people who share a conversation see it, over two gateways.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connectCall, say } from '../lib/calls.mjs';
import { connect, gateway } from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { as } from '../lib/rest.mjs';

const isOf = (user) => (data) => data.userId === user.id;

/** What a client was told of a user, in order. */
const toldOf = (client, user) =>
  client
    .all('presence.changed')
    .filter(isOf(user))
    .map(({ status }) => status);

/** Waits for the next change of a user and returns its status. */
const change = async (client, user) => {
  const { isOnline, status, at, ...more } = await client.next('presence.changed', isOf(user));
  assert.equal(isOnline, status !== 'offline');
  assert.match(at, /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/);
  assert.deepEqual(Object.keys(more), ['userId']);
  return status;
};

/** Waits until a client is told that a user is busy; whoever connected just now may be told before that
 * the user had come. */
async function toldBusy(client, user) {
  const status = await change(client, user);
  if (status !== 'busy') {
    assert.equal(status, 'available');
    assert.equal(await change(client, user), 'busy');
  }
}

/** What a user sees of others by REST. */
async function seen(user, others) {
  const userIds = others.map(({ id }) => id).join();
  const { status, data } = await as(user).get('/chat/presence', { params: { userIds } });
  assert.equal(status, 200, JSON.stringify(data));
  assert.deepEqual(
    data.map(({ userId }) => userId),
    others.map(({ id }) => id),
  );
  return data.map(({ status }) => status);
}

test('a user is online until the last device is gone for good, and strangers hear nothing', async (t) => {
  const { consultant, patient } = await newConversation();
  const stranger = await newConversation();
  const witness = await connect(t, consultant, { url: gateway(0) });
  const outsider = await connect(t, stranger.consultant, { url: gateway(0) });

  const first = await connect(t, patient, { url: gateway(0) });
  assert.equal(await change(witness, patient), 'available');
  const second = await connect(t, patient, { url: gateway(1) });
  assert.deepEqual(await seen(consultant, [patient, stranger.consultant]), ['available', 'offline']);
  assert.deepEqual(await seen(stranger.consultant, [patient]), ['offline']);
  first.close();
  second.close();

  assert.equal(await change(witness, patient), 'offline');
  assert.deepEqual(await seen(consultant, [patient]), ['offline']);
  // What the outsider hears of its own contact shows that it hears.
  await connect(t, stranger.patient, { url: gateway(1) });
  assert.equal(await change(outsider, stranger.patient), 'available');
  assert.deepEqual(toldOf(outsider, patient), []);
  assert.deepEqual(toldOf(witness, patient), ['available', 'offline']);
});

test('who comes back within the grace was never away', async (t) => {
  const { consultant, patient } = await newConversation();
  const witness = await connect(t, consultant, { url: gateway(0) });
  let phone = await connect(t, patient, { url: gateway(0) });
  assert.equal(await change(witness, patient), 'available');

  for (const at of [1, 0, 1]) {
    phone.socket.io.engine.close();
    phone = await connect(t, patient, { url: gateway(at) });
  }
  phone.close();

  assert.equal(await change(witness, patient), 'offline');
  assert.deepEqual(toldOf(witness, patient), ['available', 'offline']);
});

test('who is in a call is busy, and is told so on other devices', async (t) => {
  const talk = await newConversation();
  const caller = await connect(t, talk.consultant, { url: gateway(0) });
  const callee = await connect(t, talk.patient, { url: gateway(1) });
  const desk = await connect(t, talk.patient, { url: gateway(0) });
  assert.equal(await change(caller, talk.patient), 'available');

  await connectCall({ ...talk, caller, callee });
  await toldBusy(caller, talk.patient);
  await toldBusy(callee, talk.consultant);
  await toldBusy(desk, talk.patient);
  say(callee, 'end', talk.consultant);

  assert.equal(await change(caller, talk.patient), 'available');
  assert.equal(await change(desk, talk.patient), 'available');
});

test('a question about presence names one to a hundred users', async () => {
  const user = await newUser('patient');
  for (const userIds of ['', 'nobody', Array(101).fill(user.id).join()]) {
    const { status, data } = await as(user).get('/chat/presence', { params: { userIds } });
    assert.equal(status, 400);
    assert.equal(data.message, 'Validation failed');
  }
});
