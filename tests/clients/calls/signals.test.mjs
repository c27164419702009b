// The signalling fence: nothing passes before a device accepts, and then only between the two.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connectCall, initiate, pair, ring, say, signal, told } from '../lib/calls.mjs';
import { connect, gateway } from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { assertRejected } from '../lib/shapes.mjs';

const candidates = (client) =>
  client.all('webrtc:ice-candidate').map(({ candidate }) => candidate.candidate);

describe('signals before the accept', () => {
  test('reach the accepting device alone, after it is connected, the offer first', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient, conversationId } = talk;
    const other = await connect(t, patient, { url: gateway(0) });

    // As the mobile clients do: first the offer and its candidates, then the call.
    signal(caller, 'ice-candidate', patient, '1');
    signal(caller, 'offer', patient, 'v=0');
    signal(caller, 'ice-candidate', patient, '2');
    initiate(caller, patient, conversationId);
    signal(caller, 'ice-candidate', patient, '3');
    await callee.next('call:incoming');
    await other.next('call:incoming');
    say(callee, 'accept', consultant);
    await callee.collect('webrtc:ice-candidate', 3);

    assert.deepEqual(told(callee), [
      'call:incoming',
      'call:connected',
      'webrtc:offer',
      'webrtc:ice-candidate',
      'webrtc:ice-candidate',
      'webrtc:ice-candidate',
    ]);
    const [{ callId }] = callee.all('call:connected');
    assert.deepEqual(callee.all('webrtc:offer'), [
      { fromUserId: consultant.id, offer: { type: 'offer', sdp: 'v=0' }, callId },
    ]);
    assert.deepEqual(candidates(callee), ['1', '2', '3']);
    await other.next('call:ended');
    assert.deepEqual(told(other), ['call:incoming', 'call:stop-ringing', 'call:ended']);
  });

  test('of a callee are held, and dropped when another device accepts', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    const other = await connect(t, patient, { url: gateway(0) });
    await ring(talk);
    await other.next('call:incoming');

    const says = (client, text) =>
      client.ask('webrtc:ice-candidate', {
        toUserId: consultant.id,
        candidate: { candidate: text },
      });
    await says(other, 'not accepted');
    await says(callee, 'early');
    say(callee, 'accept', consultant);
    await callee.next('call:connected');
    await says(other, 'late');
    await says(callee, 'in time');

    await caller.collect('webrtc:ice-candidate', 2);
    assert.deepEqual(candidates(caller), ['early', 'in time']);
    assert.deepEqual(told(caller).slice(0, 3), [
      'call:ringing',
      'call:stop-ringing',
      'call:accepted',
    ]);
  });

  test('are forgotten with a call that was declined', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    signal(caller, 'offer', patient, 'the first');
    await ring(talk);
    say(callee, 'reject', consultant);
    await caller.next('call:rejected');

    await connectCall(talk);
    signal(caller, 'offer', patient, 'the second');

    const { offer } = await callee.next('webrtc:offer');
    assert.equal(offer.sdp, 'the second');
  });

  test('are limited in number', async (t) => {
    const talk = await pair(t);
    await ring(talk);
    const candidate = (i) =>
      talk.caller.ask('webrtc:ice-candidate', {
        toUserId: talk.patient.id,
        candidate: { candidate: `${i}` },
      });

    for (let i = 0; i < 64; i += 1) {
      assert.equal((await candidate(i)).event, 'webrtc:ice-candidate');
    }
    const event = 'webrtc:ice-candidate';
    await assertRejected(talk.caller, await candidate(64), { event, code: 'too_large' });

    say(talk.callee, 'accept', talk.consultant);
    await talk.callee.collect(event, 64);
    const numbers = Array.from({ length: 64 }, (_, i) => `${i}`);
    assert.deepEqual(candidates(talk.callee), numbers);
  });
});

describe('signals of a connected call', () => {
  test('pass both ways, in order, as they are', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    const callId = await connectCall(talk);
    const offer = { type: 'offer', sdp: 'v=0\r\n"ü\\', extra: [1.5, null, { deep: true }] };

    caller.emit('webrtc:offer', { toUserId: patient.id, offer });
    for (let i = 0; i < 40; i += 1) {
      signal(caller, 'ice-candidate', patient, `${i}`);
    }
    const heard = await callee.next('webrtc:offer');
    assert.deepEqual(heard, { fromUserId: consultant.id, offer, callId });
    signal(callee, 'answer', consultant, 'v=0');
    const { answer, fromUserId } = await caller.next('webrtc:answer');
    assert.deepEqual([answer, fromUserId], [{ type: 'answer', sdp: 'v=0' }, patient.id]);

    await callee.collect('webrtc:ice-candidate', 40);
    assert.deepEqual(
      candidates(callee),
      Array.from({ length: 40 }, (_, i) => `${i}`),
    );
  });

  test('pass with an offer right behind the accept', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    caller.socket.on('call:accepted', () => {
      signal(caller, 'offer', patient, 'v=0');
      signal(caller, 'ice-candidate', patient, '1');
    });
    callee.socket.on('webrtc:offer', () => signal(callee, 'answer', consultant, 'v=0'));
    await ring(talk);

    say(callee, 'accept', consultant);

    await caller.next('webrtc:answer');
    await callee.next('webrtc:ice-candidate');
    assert.deepEqual(told(callee), [
      'call:incoming',
      'call:connected',
      'webrtc:offer',
      'webrtc:ice-candidate',
    ]);
  });

  test('end with it', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    await connectCall(talk);
    say(callee, 'end', consultant);
    await caller.next('call:ended');

    const late = { toUserId: patient.id, candidate: { candidate: 'late' } };
    await caller.ask('webrtc:ice-candidate', late);

    await connectCall(talk);
    assert.deepEqual(candidates(callee), []);
  });

  test('have a size', async (t) => {
    const talk = await pair(t);
    await connectCall(talk);
    const toUserId = talk.patient.id;
    const sdp = 'x'.repeat(64 * 1024);

    for (const [event, payload] of [
      ['webrtc:offer', { offer: { sdp } }],
      ['webrtc:answer', { answer: { sdp } }],
      ['webrtc:ice-candidate', { candidate: { candidate: sdp.slice(0, 4096) } }],
    ]) {
      const answer = await talk.caller.ask(event, { toUserId, ...payload });
      await assertRejected(talk.caller, answer, { event, code: 'too_large' });
    }
    for (const [event, payload] of [
      ['webrtc:offer', {}],
      ['webrtc:offer', { offer: 'v=0' }],
      ['webrtc:answer', { answer: null }],
      ['webrtc:ice-candidate', { candidate: [] }],
    ]) {
      const answer = await talk.caller.ask(event, { toUserId, ...payload });
      await assertRejected(talk.caller, answer, { event, code: 'invalid' });
    }
    const large = { sdp: sdp.slice(0, 60_000) };
    talk.caller.emit('webrtc:offer', { toUserId, offer: large });
    assert.deepEqual((await talk.callee.next('webrtc:offer')).offer, large);
  });

  test('are nothing that a third party hears or says', async (t) => {
    const talk = await pair(t);
    const { caller, callee, consultant, patient } = talk;
    const friends = await newConversation({ patient });
    const friend = await connect(t, friends.consultant);
    const stranger = await connect(t, await newUser('consultant'));
    const other = await connect(t, patient, { url: gateway(0) });
    await connectCall(talk);

    for (const client of [friend, stranger, other]) {
      for (const user of [consultant, patient]) {
        await client.ask('webrtc:offer', { toUserId: user.id, offer: { sdp: 'forged' } });
        const candidate = { candidate: 'forged' };
        await client.ask('webrtc:ice-candidate', { toUserId: user.id, candidate });
      }
    }
    signal(caller, 'ice-candidate', patient, 'genuine');
    signal(callee, 'ice-candidate', consultant, 'genuine');

    for (const client of [caller, callee]) {
      await client.next('webrtc:ice-candidate');
      assert.deepEqual(candidates(client), ['genuine']);
      assert.deepEqual(client.all('webrtc:offer'), []);
    }
    assert.deepEqual([...told(friend), ...told(stranger)], []);
    assert.deepEqual(candidates(other), []);
  });
});
