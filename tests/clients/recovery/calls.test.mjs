// Devices that lose their connection while a call rings or goes on, and come back to their session.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertOutcomes, connectCall, pair, ring, say, signal, until } from '../lib/calls.mjs';
import { comeBack, drop, reconnect } from '../lib/recovery.mjs';

describe('a device that comes back', { concurrency: true }, () => {
  test('while it rings can accept', async (t) => {
    const talk = await pair(t);
    const callId = await ring(talk);

    assert.equal(await reconnect(talk.callee, 2), true);
    await talk.callee.next('call:incoming', (data) => data.callId === callId);
    say(talk.callee, 'accept', talk.caller.user);

    await talk.callee.next('call:connected');
    await talk.caller.next('call:accepted');
    say(talk.caller, 'end', talk.callee.user);
    await talk.callee.next('call:ended');
    await assertOutcomes(talk.caller.user, ['ended']);
  });

  test('after the caller gave up is told that it missed a call', async (t) => {
    const talk = await pair(t);
    await ring(talk);
    await drop(talk.callee);
    say(talk.caller, 'end', talk.callee.user);
    await assertOutcomes(talk.caller.user, ['cancelled']);

    await comeBack(talk.callee, 2);

    assert.equal(talk.callee.socket.recovered, true);
    const ends = ['call:ended', 'call:missed'];
    const isTold = () => talk.callee.names().find((name) => ends.includes(name));
    await talk.callee.until(isTold, 'the end of the call');
  });

  test('keeps its place in a call that goes on', async (t) => {
    const talk = await pair(t);
    await connectCall(talk);

    assert.equal(await reconnect(talk.callee, 3), true);
    // Signals pass again, both ways.
    const offer = await until(talk.caller, 'webrtc:offer', () =>
      signal(talk.callee, 'offer', talk.caller.user, 'renegotiated'),
    );
    assert.equal(offer.offer.sdp, 'renegotiated');
    const answer = await until(talk.callee, 'webrtc:answer', () =>
      signal(talk.caller, 'answer', talk.callee.user, 'agreed'),
    );
    assert.equal(answer.answer.sdp, 'agreed');

    say(talk.callee, 'end', talk.caller.user);
    await talk.caller.next('call:ended');
    await assertOutcomes(talk.caller.user, ['ended']);
  });
});
