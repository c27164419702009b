// The life of a call between two people at different gateways: every way in and out of each state.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import {
  assertOutcomes,
  connectCall,
  initiate,
  pair,
  ring,
  say,
  told,
} from '../lib/calls.mjs';
import { TRANSPORTS, connect } from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { assertRejected } from '../lib/shapes.mjs';

describe('a call', () => {
  for (const via of TRANSPORTS) {
    test(`rings, is accepted and ends, over ${via.name}`, async (t) => {
      const talk = await pair(t, {}, { via });
      const { caller, callee, consultant, patient, conversationId } = talk;

      initiate(caller, patient, conversationId, 'audio');
      const ringing = await caller.next('call:ringing');
      const { callId } = ringing;
      const about = { conversationId, callType: 'audio', callId };
      assert.deepEqual(ringing, { toUserId: patient.id, ...about });
      assert.deepEqual(await callee.next('call:incoming'), { fromUserId: consultant.id, ...about });
      say(callee, 'accept', consultant);
      assert.deepEqual(await callee.next('call:connected'), { callId });
      const fromCallee = { fromUserId: patient.id, callId };
      assert.deepEqual(await caller.next('call:accepted'), fromCallee);
      say(callee, 'end', consultant);
      assert.deepEqual(await caller.next('call:ended'), fromCallee);

      assert.deepEqual(told(caller), [
        'call:ringing',
        'call:stop-ringing',
        'call:accepted',
        'call:ended',
      ]);
      await assertOutcomes(patient, ['ended']);
      assert.deepEqual(told(callee), ['call:incoming', 'call:connected']);
    });
  }

  test('is ended by its caller just as well', async (t) => {
    const talk = await pair(t);
    const callId = await connectCall(talk);

    say(talk.caller, 'end', talk.patient, { callId });

    const ended = await talk.callee.next('call:ended');
    assert.deepEqual(ended, { fromUserId: talk.consultant.id, callId });
    await assertOutcomes(talk.consultant, ['ended']);
  });

  test('is rejected for a reason, or for none', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;

    for (const [more, reason] of [
      [{ reason: 'Declined' }, 'Declined'],
      [{ reason: 'Busy' }, 'Busy'],
      [{}, 'Call declined'],
    ]) {
      const callId = await ring(talk);
      say(callee, 'reject', consultant, more);
      const rejected = await caller.next('call:rejected');
      assert.deepEqual(rejected, { fromUserId: patient.id, reason, callId });
    }

    await assertOutcomes(patient, ['rejected', 'rejected', 'rejected']);
    assert.deepEqual(told(callee), ['call:incoming', 'call:incoming', 'call:incoming']);
  });

  test('is cancelled by its caller', async (t) => {
    const talk = await pair(t);
    const callId = await ring(talk);

    say(talk.caller, 'end', talk.patient);

    const ended = await talk.callee.next('call:ended');
    assert.deepEqual(ended, { fromUserId: talk.consultant.id, callId });
    await assertOutcomes(talk.patient, ['cancelled']);
    const answer = await talk.callee.ask('call:accept', { toUserId: talk.consultant.id });
    await assertRejected(talk.callee, answer, { event: 'call:accept', code: 'conflict' });
  });

  test('that is initiated twice is one call', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient, conversationId } = talk;
    const callId = await ring(talk);

    initiate(caller, patient, conversationId);
    assert.equal((await caller.next('call:ringing')).callId, callId);
    say(callee, 'reject', consultant);
    await caller.next('call:rejected');

    await assertOutcomes(patient, ['rejected']);
    assert.deepEqual(told(callee), ['call:incoming']);
  });

  test('of two who call each other is one call, connected', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient, conversationId } = talk;

    initiate(caller, patient, conversationId);
    initiate(callee, consultant, conversationId);

    const ids = [];
    for (const [client, peer] of [
      [caller, patient],
      [callee, consultant],
    ]) {
      const { fromUserId, callId } = await client.next('call:accepted');
      assert.equal(fromUserId, peer.id);
      await client.next('call:connected', (data) => data.callId === callId);
      ids.push(callId);
    }
    assert.equal(ids[0], ids[1]);
    say(caller, 'end', patient);
    await callee.next('call:ended');
    await assertOutcomes(patient, ['ended']);
  });

  test('to somebody who is in one is rejected as busy', async (t) => {
    const talk = await pair(t);
    const third = await newConversation({ patient: talk.patient });
    const client = await connect(t, third.consultant);
    await connectCall(talk);

    initiate(client, talk.patient, third.conversationId);
    const rejected = await client.next('call:rejected');
    assert.equal(rejected.fromUserId, talk.patient.id);
    assert.equal(rejected.reason, 'Busy');

    await assertOutcomes(third.consultant, ['busy']);
    say(talk.callee, 'end', talk.consultant);
    await talk.caller.next('call:ended');
    assert.deepEqual(told(talk.callee), ['call:incoming', 'call:connected']);
  });

  test('can be followed by another', async (t) => {
    const talk = await pair(t);

    const ids = new Set();
    for (let i = 0; i < 3; i += 1) {
      ids.add(await connectCall(talk));
      say(talk.callee, 'end', talk.consultant);
      await talk.caller.next('call:ended');
    }

    assert.equal(ids.size, 3);
    await assertOutcomes(talk.patient, ['ended', 'ended', 'ended']);
  });

  test('is answered by acknowledgements too', async (t) => {
    const { caller, callee, consultant, patient, conversationId } = await pair(t);
    const payload = { toUserId: patient.id, conversationId, callType: 'video' };

    const ringing = await caller.ask('call:initiate', payload);
    assert.equal(ringing.event, 'call:ringing');
    assert.deepEqual(await caller.next('call:ringing'), ringing.data);
    await callee.next('call:incoming');
    const { callId } = ringing.data;
    const connected = await callee.ask('call:accept', { toUserId: consultant.id });
    assert.deepEqual(connected, { event: 'call:connected', data: { callId } });
    const ended = await callee.ask('call:end', { toUserId: consultant.id });
    assert.deepEqual(ended, { event: 'call:end', data: { toUserId: consultant.id } });
  });
});

describe('what cannot be called or answered', () => {
  test('is an error', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient, conversationId } = talk;
    const other = await newConversation();
    const call = { toUserId: patient.id, conversationId, callType: 'video' };
    const initiate = (more) => ['call:initiate', { ...call, ...more }];

    for (const [[event, payload], code] of [
      [initiate({ toUserId: consultant.id }), 'invalid'],
      [initiate({ toUserId: randomUUID() }), ['unauthorized', 'not_found']],
      [initiate({ toUserId: other.patient.id }), 'unauthorized'],
      [initiate({ conversationId: other.conversationId }), 'unauthorized'],
      [initiate({ conversationId: randomUUID() }), 'not_found'],
      [initiate({ callType: 'fax' }), 'invalid'],
      [initiate({ callType: undefined }), 'invalid'],
      [initiate({ toUserId: { $ne: 1 } }), 'invalid'],
      [['call:accept', { toUserId: patient.id }], 'not_found'],
      [['call:reject', { toUserId: patient.id }], 'not_found'],
      [['call:end', { toUserId: patient.id }], 'not_found'],
      [['call:accept', { toUserId: patient.id, callId: randomUUID() }], 'not_found'],
      [['call:accept', {}], 'invalid'],
      [['call:accept', null], 'invalid'],
      [['call:accept', 'x'], 'invalid'],
    ]) {
      const answer = await caller.ask(event, payload);
      await assertRejected(caller, answer, { event, code });
    }
    await ring(talk);
    assert.deepEqual(told(callee), ['call:incoming']);
  });

  test('is none of a stranger’s business', async (t) => {
    const talk = await pair(t);
    const stranger = await newUser('consultant');
    const client = await connect(t, stranger);
    const callId = await ring(talk);

    for (const toUserId of [talk.consultant.id, talk.patient.id]) {
      for (const event of ['call:accept', 'call:reject', 'call:end']) {
        const answer = await client.ask(event, { toUserId, callId });
        await assertRejected(client, answer, { event, code: 'not_found' });
      }
    }

    const answer = await talk.caller.ask('call:accept', { toUserId: talk.patient.id });
    await assertRejected(talk.caller, answer, { event: 'call:accept', code: 'unauthorized' });
    say(talk.callee, 'accept', talk.consultant);
    await talk.caller.next('call:accepted');
    assert.deepEqual(told(client), []);
  });
});
