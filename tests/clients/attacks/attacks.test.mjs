// The attack list, entry by entry: what each is answered, and that the system is as before.
//
// A row has the number of its entry and what it is. It attacks, or names the test that does (`shown`:
// a file and a text in it), or says what it `lacks`. After each attack two other people talk; at the
// end no process has grown, and no log holds what was said, who said it, or a token. Not here: what is
// merely invalid, which `chat/bad-input.test.mjs` tries.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { connectAndJoin, gateway, send } from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { booking, care, clinic, gateways, stores } from '../lib/environment.mjs';
import { rows as calls } from './calls.mjs';
import { rows as http } from './http.mjs';
import { rows as internal } from './internal.mjs';
import { rows as packets } from './packets.mjs';
import { assertClean, assertFlat, CANARY, secret, secrets } from './tools.mjs';
import { rows as transports } from './transports.mjs';

const ROWS = [...http, ...transports, ...packets, ...calls, ...internal];

const repository = new URL('../../../', import.meta.url);
const processes = [...gateways, ...stores].map(({ pid }) => pid);
const lacks = process.platform !== 'linux' && 'only Linux tells what a process has';

const memory = (pid) => +/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];

/** Returns where a process logs to. */
const log = (pid) => readlinkSync(`/proc/${pid}/fd/2`);

describe('the attack list', () => {
  const context = { care, clinic, booking };
  const bystanders = [];
  const ending = [];
  let grown;
  let started;

  before(async () => {
    Object.assign(context, await newConversation());
    context.stranger = await newUser('patient');
    [context.patient, context.consultant, context.stranger].forEach(({ token }) => secret(token));
    const others = await newConversation();
    // Not those of a test: they stay to the end.
    const ends = { after: (end) => ending.push(end) };
    for (const [i, user] of [others.consultant, others.patient].entries()) {
      bystanders.push(
        await connectAndJoin(ends, user, others.conversationId, { url: gateway(i) }),
      );
    }
    bystanders.conversationId = others.conversationId;
    await assertServed();
    started = Date.now();
    if (!lacks) grown = processes.map(memory);
  });

  after(() => ending.forEach((end) => end()));

  /** Two other people talk, each at another gateway. */
  async function assertServed() {
    const [one, other] = bystanders;
    const { message } = await send(one, bystanders.conversationId, CANARY);
    await other.next('new_message', (data) => data.message.id === message.id);
  }

  test('is complete', () => {
    assert.deepEqual(
      ROWS.map(({ n }) => n),
      Array.from({ length: 96 }, (_, i) => i + 1),
    );
  });

  for (const { n, what, attack, shown, lacks } of ROWS) {
    test(`${n}: ${what}`, { todo: attack || shown ? false : lacks }, async (t) => {
      if (shown) {
        const [file, text] = shown;
        assert.ok(readFileSync(new URL(file, repository), 'utf8').includes(text), `${text} is gone`);
      }
      if (attack) {
        await attack(context, t);
        await assertServed();
      }
    });
  }

  test('leaves no memory behind', { skip: lacks }, (t) => {
    for (const [i, pid] of processes.entries()) {
      const more = memory(pid) - grown[i];
      t.diagnostic(`process ${pid} has ${more} KB more after ${Date.now() - started} ms`);
      assertFlat(`process ${pid}`, grown[i], memory(pid));
    }
  });

  test('leaves no trace in logs', { skip: lacks }, () => {
    let read = 0;
    for (const file of new Set(processes.map(log))) {
      const text = readFileSync(file, 'utf8');
      read += text.length;
      assertClean(file, text, [CANARY, '@example.org', ...secrets]);
    }
    assert.ok(read > 0, 'there is something in the logs');
  });
});
