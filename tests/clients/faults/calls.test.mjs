// Processes are killed with SIGKILL while people call each other: each call has one outcome, and
// whoever is left is told of it once.
//
// The gateways and stores that are killed here are others than in `faults.test.mjs`.
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, test } from 'node:test';

import {
  assertOutcomes,
  connectCall,
  endedCalls,
  initiate,
  ring,
  say,
  told,
  until,
} from '../lib/calls.mjs';
import { connect, gateway } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { gateways, hasty, stores } from '../lib/environment.mjs';

/** A gateway that is silent counts as dead after 9 s; its devices have 10 s to come back. */
const DEADLINE_MS = 40_000;

const ENDS = ['call:ended', 'call:rejected', 'call:no-answer', 'call:missed'];

/** Gateways that may die; everybody else is at the first or second. */
const victims = gateways.slice(2);

const lacks = (what, n, of) => of.length < n && `the system was not started with more ${what}`;

/** A caller and a callee at these gateways: `{caller, callee, conversationId, …}`. */
async function pairAt(t, [callerAt, calleeAt], people) {
  const talk = await newConversation(people);
  const caller = await connect(t, talk.consultant, { url: callerAt });
  const callee = await connect(t, talk.patient, { url: calleeAt });
  return { ...talk, caller, callee };
}

const terminal = (client) => told(client).filter((name) => ENDS.includes(name));

// At the same time: each waits for much the same, and kills another process.
describe('with calls under way', { concurrency: true }, () => {
  test(
    'a gateway that is killed while calls ring and go on ends none whose people come back',
    { skip: lacks('gateways', 1, victims) },
    async (t) => {
      const victim = victims[0];
      const called = await pairAt(t, [gateway(0), victim.url]);
      const calling = await pairAt(t, [victim.url, gateway(0)]);
      const leaving = await pairAt(t, [victim.url, gateway(1)]);
      const talking = await pairAt(t, [gateway(1), victim.url]);
      const [, again] = await Promise.all([ring(called), ring(calling), ring(leaving)]);
      await connectCall(talking);

      process.kill(victim.pid, 'SIGKILL');

      // The callee rings at the next device, and is connected there.
      const callee = await connect(t, called.patient, { url: gateway(1) });
      await callee.next('call:incoming');
      say(callee, 'accept', called.consultant);
      await called.caller.next('call:accepted');
      say(called.caller, 'end', called.patient);
      await callee.next('call:ended');
      await assertOutcomes(called.patient, ['ended']);

      // The caller calls again: it is the same call.
      const caller = await connect(t, calling.consultant, { url: gateway(1) });
      initiate(caller, calling.patient, calling.conversationId);
      assert.equal((await caller.next('call:ringing')).callId, again);
      say(calling.callee, 'accept', calling.consultant);
      await caller.next('call:accepted');
      say(calling.callee, 'end', calling.consultant);
      await caller.next('call:ended');
      await assertOutcomes(calling.patient, ['ended']);
      assert.deepEqual(told(calling.callee), ['call:incoming', 'call:connected']);

      // Who was in a call is in it again.
      const back = await connect(t, talking.patient, { url: gateway(0) });
      const toUserId = talking.patient.id;
      const candidate = { candidate: 'still there?' };
      const signalled = until(
        back,
        'webrtc:ice-candidate',
        () => talking.caller.ask('webrtc:ice-candidate', { toUserId, candidate }),
        DEADLINE_MS,
      );

      // Who does not come back has given up.
      await leaving.callee.next('call:ended', undefined, DEADLINE_MS);
      await assertOutcomes(leaving.patient, ['cancelled']);
      assert.deepEqual(told(leaving.callee), ['call:incoming', 'call:ended']);

      await signalled;
      assert.deepEqual(terminal(talking.caller), []);
      say(back, 'end', talking.consultant);
      await talking.caller.next('call:ended');
      await assertOutcomes(talking.patient, ['ended']);
    },
  );

  test(
    'a gateway that is killed as a call begins leaves no call or one that is cancelled',
    { skip: lacks('gateways', 2, victims) },
    async (t) => {
      const talk = await pairAt(t, [victims[1].url, gateway(0)]);

      initiate(talk.caller, talk.patient, talk.conversationId);
      await talk.caller.ask('leave_conversation', { conversationId: talk.conversationId });
      process.kill(victims[1].pid, 'SIGKILL');

      const calls = await endedCalls(talk.patient, DEADLINE_MS);
      assert.ok(calls.length <= 1 && calls.every(({ outcome }) => outcome === 'cancelled'));
      if (calls.length === 1) {
        await talk.callee.next('call:ended');
        assert.deepEqual(told(talk.callee), ['call:incoming', 'call:ended']);
      }
    },
  );

  test(
    'a gateway that is killed as a call is accepted leaves one outcome',
    { skip: lacks('gateways', 3, victims) },
    async (t) => {
      const talk = await pairAt(t, [gateway(0), victims[2].url], { app: hasty });
      await ring(talk);

      say(talk.callee, 'accept', talk.consultant);
      process.kill(victims[2].pid, 'SIGKILL');

      const isOver = () => terminal(talk.caller)[0];
      const end = await talk.caller.until(isOver, 'an end', DEADLINE_MS);
      const [{ outcome }] = await endedCalls(talk.patient);
      assert.equal(outcome, { 'call:ended': 'ended', 'call:no-answer': 'no_answer' }[end]);
      assert.deepEqual(terminal(talk.caller), [end]);
    },
  );

  test(
    'a store that is killed while it rings keeps nobody waiting',
    { skip: lacks('stores', 3, stores) },
    async (t) => {
      const talks = [];
      for (let i = 0; i < 8; i += 1) {
        talks.push(await pairAt(t, [gateway(0), gateway(1)], { app: hasty }));
      }
      const rings = talks.map((talk) => ring(talk));
      await rings[0];

      process.kill(stores[1].pid, 'SIGKILL');

      for (const [i, { caller, callee, patient }] of talks.entries()) {
        await rings[i];
        await caller.next('call:no-answer');
        await callee.next('call:missed');
        await assertOutcomes(patient, ['no_answer']);
        assert.deepEqual(told(caller), ['call:ringing', 'call:no-answer']);
        assert.deepEqual(told(callee), ['call:incoming', 'call:missed']);
      }
    },
  );
});
