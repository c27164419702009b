// Processes are killed, or told to end, while people chat: what was confirmed is in the history, once.
//
// Each test costs the system a process that does not come back, so they run one after another, after
// everything else, and leave a system of little use.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

import { connect, gateway } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { gateways, stores } from '../lib/environment.mjs';
import { history } from '../lib/rest.mjs';

const DEADLINE_MS = 90_000;

/** What each device says at once: several times what one request to the store carries. */
const BURST = 200;

/** The reconnection of the protocol's own example; through the load balancer. */
const STOCK = { reconnection: true, reconnectionDelay: 1000, reconnectionAttempts: 5 };

/** Ends a process, as a power cut would or as a deploy does. */
function end({ pid }, signal = 'SIGKILL') {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    throw new Error(`process ${pid} is gone: start a fresh \`cargo xtask up\``, { cause });
  }
}

/** Waits until a process has ended. */
async function gone({ admin_url: url }) {
  const deadline = Date.now() + DEADLINE_MS;
  const answers = () => fetch(`${url}/healthz`).then(() => true, () => false);
  while (await answers()) {
    assert.ok(Date.now() < deadline, 'it does not end');
    await setTimeout(100);
  }
}

/** A client that says each thing again until it is confirmed, under the same key. */
class Talker {
  confirmed = new Map();
  refused = [];
  #waiting = new Map();

  constructor(client, conversationId) {
    this.client = client;
    this.conversationId = conversationId;
    client.socket.on('connect', () => [...this.#waiting.keys()].forEach((key) => this.#emit(key)));
  }

  /** Says `count` things without waiting for any answer. */
  say(count) {
    for (let i = 0; i < count; i += 1) {
      const key = randomUUID();
      this.#waiting.set(key, `${this.client.user.role} says ${key}`);
      this.#emit(key);
    }
  }

  #emit(clientMessageId) {
    const payload = {
      conversationId: this.conversationId,
      content: this.#waiting.get(clientMessageId),
      senderType: this.client.user.role,
      clientMessageId,
    };
    this.client.socket.emit('send_message', payload, ({ event, data }) => {
      if (event === 'message_sent') {
        this.confirmed.set(clientMessageId, data.message);
        this.#waiting.delete(clientMessageId);
      } else if (data.code === 'unavailable') {
        this.#emit(clientMessageId);
      } else {
        this.refused.push(data);
      }
      // The last acknowledgement may come behind the last event.
      this.client.look();
    });
  }

  /** Waits until something was confirmed; fails if that was all. */
  async begun() {
    await this.client.next('message_sent', () => true, DEADLINE_MS);
    assert.notEqual(this.#waiting.size, 0, 'everything was confirmed at once');
  }

  /** Waits until everything was confirmed or refused. */
  async done() {
    const done = () => (this.#waiting.size === this.refused.length ? true : undefined);
    await this.client.until(done, 'the last message_sent', DEADLINE_MS);
  }
}

/** Two people with two devices each, who all talk: `{…talk, talkers}`. */
async function conversationOfFour(t) {
  const talk = await newConversation();
  const { consultant, patient, conversationId } = talk;
  const talkers = [];
  for (const user of [consultant, consultant, patient, patient]) {
    talkers.push(new Talker(await connect(t, user, STOCK), conversationId));
  }
  return { ...talk, talkers };
}

/** Asserts that the history is what was confirmed, and that `witness` saw it as it grew. */
async function assertNothingLost({ patient, conversationId, talkers }, witness) {
  for (const { refused } of talkers) {
    assert.deepEqual(refused, []);
  }
  const confirmed = talkers.flatMap((talker) => [...talker.confirmed.values()]);
  confirmed.sort((a, b) => a.seq - b.seq);

  const identity = ({ id, seq, content, clientMessageId }) => [id, seq, content, clientMessageId];
  const stored = await history(patient, conversationId);
  assert.deepEqual(stored.map(identity), confirmed.map(identity));
  assert.deepEqual(
    stored.map(({ seq }) => seq),
    stored.map((_, i) => i + 1),
  );

  const told = await witness.collect('new_message', stored.length, DEADLINE_MS);
  assert.deepEqual(
    told.map(({ message }) => identity(message)),
    stored.map(identity),
  );
  // Also those whose gateway is gone: they came back to their sessions.
  for (const { client } of talkers) {
    const heard = await client.collect('new_message', stored.length, DEADLINE_MS);
    assert.deepEqual(
      heard.map(({ message }) => identity(message)),
      stored.map(identity),
    );
    assert.deepEqual(client.all('resync'), []);
  }
}

test(
  'a store that is killed in a burst loses no confirmed message',
  { skip: stores.length < 2 && 'the system was not started with `--stores 2`' },
  async (t) => {
    const talk = await conversationOfFour(t);
    const witness = await connect(t, talk.patient, { url: gateway(1) });

    talk.talkers.forEach((talker) => talker.say(BURST));
    await Promise.race(talk.talkers.map((talker) => talker.begun()));
    end(stores[0]);
    talk.talkers.forEach((talker) => talker.say(20));
    await Promise.all(talk.talkers.map((talker) => talker.done()));

    await assertNothingLost(talk, witness);
    for (const { client } of talk.talkers) {
      assert.deepEqual(client.all('(disconnect)'), []);
    }
  },
);

for (const [what, signal, victim] of [
  ['that is told to end', 'SIGTERM', gateways.at(-3)],
  ['that is killed', 'SIGKILL', gateways[0]],
]) {
  test(`a gateway ${what} in a burst loses no confirmed message, and its clients come back`, async (t) => {
    const talk = await conversationOfFour(t);
    const witness = await connect(t, talk.patient, { url: gateway(1) });

    talk.talkers.forEach((talker) => talker.say(BURST));
    await Promise.race(talk.talkers.map((talker) => talker.begun()));
    end(victim, signal);
    talk.talkers.forEach((talker) => talker.say(20));
    await Promise.all(talk.talkers.map((talker) => talker.done()));
    await gone(victim);

    await assertNothingLost(talk, witness);
    const cut = talk.talkers.filter(({ client }) => 0 < client.all('(disconnect)').length);
    assert.notEqual(cut.length, 0);
    for (const { client } of cut) {
      await client.collect('(connect)', 2, DEADLINE_MS);
      assert.equal(client.socket.recovered, true);
    }
  });
}
