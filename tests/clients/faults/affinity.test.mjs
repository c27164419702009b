// A gateway is killed that has the sessions of clients whose requests go to others.
//
// It is another one than in the other files.
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';

import { Client, join, POLLING, send, UPGRADE } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { gateways, publicUrl } from '../lib/environment.mjs';

const DEADLINE_MS = 90_000;
const victim = gateways.at(-2);

/** As gateways are named in the ids of their sessions. */
const name = `g${gateways.length - 1}-`;

/** Connects through the load balancer until the session is at the gateway that will be killed. */
async function connectToVictim(t, user, via) {
  for (let i = 0; i < 100; i += 1) {
    const client = new Client(publicUrl, { token: user.token, ...via.options, reconnection: true });
    t.after(() => client.close());
    client.user = user;
    await client.next('(connect)');
    const engine = client.socket.io.engine;
    if (engine.id.startsWith(name)) {
      await client.until(() => engine.transport.name === via.ends || undefined, via.ends);
      return client;
    }
    client.close();
    // Else the requests of a session may keep step with the turns of the gateways.
    if (i % 2 === 1) await fetch(`${publicUrl}/demo`);
  }
  throw new Error(`no session was opened at ${name}`);
}

test(
  'clients of a gateway that is killed come back by themselves, whatever they reach it through',
  { skip: gateways.length < 8 && 'the system was not started with `--gateways 8`' },
  async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const polling = await connectToVictim(t, consultant, POLLING);
    const upgraded = await connectToVictim(t, patient, UPGRADE);
    const people = [polling, upgraded];
    await Promise.all(people.map((one) => join(one, conversationId)));
    await send(polling, conversationId, 'before');
    await upgraded.next('new_message');

    process.kill(victim.pid, 'SIGKILL');

    for (const one of people) {
      await one.next('(disconnect)', () => true, DEADLINE_MS);
      await one.until(() => one.all('(connect)').length === 2 || undefined, 'it', DEADLINE_MS);
      await join(one, conversationId);
    }
    await send(upgraded, conversationId, 'after');
    const { message } = await polling.next('new_message', (data) => data.message.seq === 2);
    assert.equal(message.content, 'after');
  },
);
