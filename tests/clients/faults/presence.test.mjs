// Presence while a gateway is killed and Redis loses everything: whoever is gone is told to be, in
// time, and nobody else.
//
// The gateway that is killed here is the last one, which no other test kills.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import process from 'node:process';
import { test } from 'node:test';

import { connect } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { gateways, redis } from '../lib/environment.mjs';
import { as } from '../lib/rest.mjs';

/** What presence takes at most to follow the death of a gateway. */
const DEADLINE_MS = 20_000;

/** The only gateway that the tests of faults leave alone, and one for this file. */
const [haven, victim] = [gateways[1], gateways.at(-1)];

/** Two people of a conversation: the witness at the haven, the other at a gateway. */
async function pairAt(t, { url }, options = {}) {
  const talk = await newConversation();
  const witness = await connect(t, talk.consultant, { url: haven.url });
  const phone = await connect(t, talk.patient, { url, ...options });
  await witness.next('presence.changed', ({ userId }) => userId === talk.patient.id);
  const told = () =>
    witness
      .all('presence.changed')
      .filter(({ userId }) => userId === talk.patient.id)
      .map(({ status }) => status);
  return { ...talk, witness, phone, told };
}

const goes = ({ witness, patient }, deadline) =>
  witness.next(
    'presence.changed',
    ({ userId, isOnline }) => userId === patient.id && !isOnline,
    deadline,
  );

/** Has Redis forget everything. */
async function flushAll() {
  const { hostname, port } = new URL(redis.url);
  const socket = dial(Number(port), hostname);
  socket.end('FLUSHALL\r\n');
  const [answer] = await once(socket, 'data');
  assert.equal(String(answer), '+OK\r\n');
}

test('when Redis forgets everything, nobody is told anything, and leaving is still told', async (t) => {
  const stays = await pairAt(t, haven);
  const leaves = await pairAt(t, haven);

  await flushAll();
  leaves.phone.close();

  await goes(leaves, DEADLINE_MS);
  assert.deepEqual(leaves.told(), ['available', 'offline']);
  assert.deepEqual(stays.told(), ['available']);
  const { data } = await as(stays.consultant).get('/chat/presence', {
    params: { userIds: stays.patient.id },
  });
  assert.equal(data[0].isOnline, true);
});

test('users of a killed gateway are offline in time unless they come back', async (t) => {
  const lost = await pairAt(t, victim);
  const returns = await pairAt(t, victim);
  const second = await pairAt(t, victim);
  await connect(t, second.patient, { url: haven.url });

  const killedAt = Date.now();
  process.kill(victim.pid, 'SIGKILL');
  await returns.phone.next('(disconnect)');
  await connect(t, returns.patient, { url: haven.url });
  await goes(lost, DEADLINE_MS);
  t.diagnostic(`offline ${Date.now() - killedAt} ms after the gateway was killed`);

  assert.deepEqual(lost.told(), ['available', 'offline']);
  // Sweeps tell all users of a gateway together: theirs would have come by the next change.
  const later = await pairAt(t, haven);
  later.phone.close();
  await goes(later, DEADLINE_MS);
  assert.deepEqual(returns.told(), ['available']);
  assert.deepEqual(second.told(), ['available']);
});
