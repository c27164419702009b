// Two people about to call each other, and what every test of calls says and looks for.
import assert from 'node:assert/strict';

import { setTimeout as pause } from 'node:timers/promises';

import { connect, gateway } from './client.mjs';
import { newConversation } from './directory.mjs';
import { DEADLINE_MS, as } from './rest.mjs';

/** A caller and a callee at different gateways: `{caller, callee, conversationId, …}`. */
export async function pair(t, people, options = {}) {
  const talk = await newConversation(people);
  const caller = await connect(t, talk.consultant, { url: gateway(0), ...options });
  const callee = await connect(t, talk.patient, { url: gateway(1), ...options });
  return { ...talk, caller, callee };
}

/** Says what the client wants of a call with `user`. */
export const say = (client, event, user, more = {}) =>
  client.emit(`call:${event}`, { toUserId: user.id, ...more });

/** Calls the other one of a conversation. */
export const initiate = (client, user, conversationId, callType = 'video') =>
  say(client, 'initiate', user, { conversationId, callType });

/** Calls, and returns the id of the call once both were told. */
export async function ring({ caller, callee, conversationId }, callType) {
  initiate(caller, callee.user, conversationId, callType);
  const { callId } = await caller.next('call:ringing');
  await callee.next('call:incoming', (data) => data.callId === callId);
  return callId;
}

/** Calls and accepts, and returns the id of the call once both were told. */
export async function connectCall(talk) {
  const callId = await ring(talk);
  say(talk.callee, 'accept', talk.caller.user);
  await talk.callee.next('call:connected');
  await talk.caller.next('call:accepted');
  return callId;
}

/** Returns the names of what a client was told of calls, in order. */
export const told = (client) => client.names().filter((name) => /^(call|webrtc):/.test(name));

/**
 * Returns the calls of a user once none is left that goes on, newest first.
 *
 * Asks again when the connection breaks: the store that was to answer may just have been killed.
 */
export async function endedCalls(user, deadline = DEADLINE_MS) {
  const until = Date.now() + deadline;
  for (;;) {
    const answer = await as(user)
      .get('/chat/calls')
      .catch((error) => ({ broken: error.code ?? error }));
    if (!answer.broken) {
      assert.equal(answer.status, 200, JSON.stringify(answer.data));
      if (answer.data.every(({ state }) => state === 'over')) {
        return answer.data;
      }
    }
    assert.ok(Date.now() < until, `still going on: ${answer.broken ?? JSON.stringify(answer.data)}`);
  }
}

/** Asserts that a user had exactly these calls, by outcome, newest first, and returns them. */
export async function assertOutcomes(user, outcomes, deadline) {
  const calls = await endedCalls(user, deadline);
  assert.deepEqual(
    calls.map(({ outcome }) => outcome),
    outcomes,
  );
  return calls;
}

/** An offer, an answer or a candidate that can be told from others. */
export const signal = (client, kind, user, text) => {
  const key = kind === 'ice-candidate' ? 'candidate' : kind;
  const description = kind === 'ice-candidate' ? { candidate: text } : { type: kind, sdp: text };
  client.emit(`webrtc:${kind}`, { toUserId: user.id, [key]: description });
};

/** Does something again and again until a client is told `name`, and returns what it is told. */
export async function until(client, name, again, deadline) {
  const heard = client.next(name, undefined, deadline);
  const isHeard = heard.then(() => true);
  do {
    await again();
    // Paced, or the client that does it would be sent away.
  } while (!(await Promise.race([isHeard, pause(100, false)])));
  return heard;
}
