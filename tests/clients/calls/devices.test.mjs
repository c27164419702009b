// People with several devices, with none, and devices that come and go during a call.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import {
  assertOutcomes,
  connectCall,
  initiate,
  pair,
  ring,
  say,
  told,
  until,
} from '../lib/calls.mjs';
import { connect, gateway } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { app, hasty } from '../lib/environment.mjs';
import { assertRejected } from '../lib/shapes.mjs';

/** Ends a connection as a lost network would. */
const drop = (client) => client.socket.io.engine.close();

describe('a callee with several devices', () => {
  test('answers on one', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    const others = [
      await connect(t, patient, { url: gateway(0) }),
      await connect(t, patient, { url: gateway(1) }),
    ];
    const callId = await ring(talk);
    for (const other of others) {
      await other.next('call:incoming');
    }

    say(callee, 'accept', consultant);
    await caller.next('call:accepted');

    for (const other of others) {
      const ended = await other.next('call:ended');
      assert.deepEqual(ended, {
        fromUserId: consultant.id,
        reason: 'answered_elsewhere',
        callId,
      });
      assert.deepEqual(told(other), ['call:incoming', 'call:stop-ringing', 'call:ended']);
      const answer = await other.ask('call:accept', { toUserId: consultant.id });
      await assertRejected(other, answer, { event: 'call:accept', code: 'conflict' });
    }
    say(caller, 'end', patient);
    await callee.next('call:ended');
    await assertOutcomes(patient, ['ended']);
  });

  test('declines on one', async (t) => {
    const talk = await pair(t);
    const other = await connect(t, talk.patient, { url: gateway(0) });
    const callId = await ring(talk);
    await other.next('call:incoming');

    say(talk.callee, 'reject', talk.consultant, { reason: 'Declined' });

    await talk.caller.next('call:rejected');
    const ended = await other.next('call:ended');
    assert.deepEqual(ended, {
      fromUserId: talk.consultant.id,
      reason: 'declined_elsewhere',
      callId,
    });
    assert.deepEqual(told(other), ['call:incoming', 'call:stop-ringing', 'call:ended']);
    assert.deepEqual(told(talk.callee), ['call:incoming']);
  });

  test('accepts on all at the same time and is connected on one', async (t) => {
    const talk = await pair(t);
    const { caller, consultant, patient } = talk;
    const devices = [talk.callee];
    for (const i of [0, 1, 0]) {
      devices.push(await connect(t, patient, { url: gateway(i) }));
    }
    await ring(talk);
    await Promise.all(devices.slice(1).map((device) => device.next('call:incoming')));

    const accept = (device) => device.ask('call:accept', { toUserId: consultant.id });
    const answers = await Promise.all(devices.map(accept));

    const events = answers.map(({ event, data }) => data.code ?? event).sort();
    assert.deepEqual(events, ['call:connected', 'conflict', 'conflict', 'conflict']);
    await caller.next('call:accepted');
    say(caller, 'end', patient);
    const index = answers.findIndex(({ event }) => event === 'call:connected');
    await devices[index].next('call:ended');
    assert.equal(caller.all('call:accepted').length, 1);
  });

  test('is not called on any device when the caller gives up', async (t) => {
    const talk = await pair(t);
    const other = await connect(t, talk.patient, { url: gateway(0) });
    await ring(talk);
    await other.next('call:incoming');

    say(talk.caller, 'end', talk.patient);

    await talk.callee.next('call:ended');
    await other.next('call:ended');
  });
});

describe('somebody who hangs up without saying which call it is', () => {
  test('is in it with a device that came since, and not with one that was there', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    const beside = await connect(t, patient, { url: gateway(0) });
    await connectCall(talk);
    await beside.next('call:ended');

    await beside.ask('call:end', { toUserId: consultant.id });
    assert.deepEqual(caller.all('call:ended'), []);

    // It may be what became of the one in the call, before anybody saw that that one is gone.
    const since = await connect(t, patient, { url: gateway(1) });
    say(since, 'end', consultant);
    await caller.next('call:ended');
    await callee.next('call:ended');
    await assertOutcomes(patient, ['ended']);
  });
});

describe('a callee who is not there', () => {
  test('rings when a device connects in time', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const caller = await connect(t, consultant, { url: gateway(0) });
    initiate(caller, patient, conversationId);
    const { callId } = await caller.next('call:ringing');

    const callee = await connect(t, patient, { url: gateway(1) });

    const incoming = await callee.next('call:incoming');
    assert.deepEqual(incoming, {
      fromUserId: consultant.id,
      conversationId,
      callType: 'video',
      callId,
    });
    say(callee, 'accept', consultant);
    await caller.next('call:accepted');
  });

  test('learns at the next connect what was missed, once', async (t) => {
    const { consultant, patient, conversationId } = await newConversation({ app: hasty });
    const caller = await connect(t, consultant, { url: gateway(0) });
    initiate(caller, patient, conversationId);
    const { callId } = await caller.next('call:ringing');
    const noAnswer = await caller.next('call:no-answer');
    assert.deepEqual(noAnswer, { toUserId: patient.id, callId });
    await assertOutcomes(patient, ['no_answer']);

    const callee = await connect(t, patient, { url: gateway(1) });
    const missed = await callee.next('call:missed');
    assert.deepEqual(missed, { fromUserId: consultant.id, conversationId, callId });

    // The next thing that a new device is told is the next call.
    const other = await connect(t, patient, { url: gateway(0) });
    await ring({ caller, callee: other, conversationId });
    assert.deepEqual(told(other), ['call:incoming']);
  });

  test('learns of a call that was cancelled', async (t) => {
    const { consultant, patient, conversationId } = await newConversation();
    const caller = await connect(t, consultant);
    initiate(caller, patient, conversationId);
    const { callId } = await caller.next('call:ringing');
    say(caller, 'end', patient);
    await assertOutcomes(patient, ['cancelled']);

    const callee = await connect(t, patient);

    assert.equal((await callee.next('call:missed')).callId, callId);
  });
});

describe('what ends by itself', () => {
  test('a call that nobody answers', async (t) => {
    const talk = await pair(t, { app: hasty });
    const { caller, callee, consultant, patient, conversationId } = talk;
    const callId = await ring(talk);

    assert.deepEqual(await caller.next('call:no-answer'), { toUserId: patient.id, callId });
    const missed = await callee.next('call:missed');
    assert.deepEqual(missed, { fromUserId: consultant.id, conversationId, callId });

    await assertOutcomes(patient, ['no_answer']);
    assert.deepEqual(told(caller), ['call:ringing', 'call:no-answer']);
    assert.deepEqual(told(callee), ['call:incoming', 'call:missed']);
  });

  test('a call that nobody answers for 45 s', async (t) => {
    const talk = await pair(t, { app });
    const callId = await ring(talk);

    const noAnswer = await talk.caller.next('call:no-answer', undefined, 60_000);
    assert.equal(noAnswer.callId, callId);
    await talk.callee.next('call:missed');

    const [call] = await assertOutcomes(talk.patient, ['no_answer']);
    const rang = Date.parse(call.endedAt) - Date.parse(call.startedAt);
    assert.ok(45_000 <= rang && rang < 46_000, `rang for ${rang} ms`);
  });

  test('a call whose caller is gone', async (t) => {
    const talk = await pair(t, { app: hasty });
    const callId = await ring(talk);

    drop(talk.caller);

    const ended = await talk.callee.next('call:ended');
    assert.deepEqual(ended, { fromUserId: talk.consultant.id, callId });
    await assertOutcomes(talk.patient, ['cancelled']);
  });

  for (const [who, other] of [
    ['caller', 'callee'],
    ['callee', 'caller'],
  ]) {
    test(`a connected call whose ${who} is gone`, async (t) => {
      const talk = await pair(t, { app: hasty });
      const callId = await connectCall(talk);

      drop(talk[who]);

      const ended = await talk[other].next('call:ended');
      assert.deepEqual(ended, { fromUserId: talk[who].user.id, callId });
      await assertOutcomes(talk.patient, ['ended']);
    });

    test(`not a connected call whose ${who} comes back`, async (t) => {
      const talk = await pair(t);
      const callId = await connectCall(talk);

      drop(talk[who]);
      const back = await connect(t, talk[who].user, { url: gateway(0) });
      const peer = talk[other];
      // Only the device in the call is signalled to, and it takes a moment until that is this one.
      const candidate = { candidate: 'still there?' };
      const heard = await until(back, 'webrtc:ice-candidate', () =>
        peer.ask('webrtc:ice-candidate', { toUserId: back.user.id, candidate }),
      );
      assert.deepEqual(heard, { fromUserId: peer.user.id, candidate, callId });

      say(back, 'end', peer.user);
      await peer.next('call:ended');
      await assertOutcomes(talk.patient, ['ended']);
    });
  }
});
