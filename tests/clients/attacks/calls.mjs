// Entries 77 to 89: calls and their signals.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { endedCalls, initiate, pair, ring, say, signal, told } from '../lib/calls.mjs';
import { connect, gateway } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { as } from '../lib/rest.mjs';
import { CANARY } from './tools.mjs';

/** Asserts that an event about a call is refused. */
async function assertRefused(client, name, payload, what) {
  const { event, data } = await client.ask(name, payload);
  assert.equal(event, 'error', `${what ?? name}: ${JSON.stringify(data)}`);
  return data;
}

/** Ends what rings, so that the people of the next row are free. */
async function hangUp({ caller, callee }) {
  say(caller, 'end', callee.user);
  await callee.next('call:ended');
}

export const rows = [
  {
    n: 77,
    what: 'calling oneself, strangers, and out of another conversation',
    async attack(c, t) {
      const { conversationId } = c;
      const patient = await connect(t, c.patient);
      const stranger = await connect(t, c.stranger);
      const other = await newConversation();
      for (const [client, payload] of [
        [patient, { toUserId: c.patient.id, conversationId, callType: 'video' }],
        [stranger, { toUserId: c.patient.id, conversationId, callType: 'video' }],
        [patient, { toUserId: c.stranger.id, conversationId, callType: 'video' }],
        [patient, { toUserId: randomUUID(), conversationId, callType: 'video' }],
        [patient, { toUserId: c.consultant.id, conversationId: other.conversationId, callType: 'video' }],
        [patient, { toUserId: c.consultant.id, conversationId: randomUUID(), callType: 'video' }],
      ]) {
        await assertRefused(client, 'call:initiate', payload, JSON.stringify(payload));
      }
    },
  },
  {
    n: 78,
    what: "others' calls",
    async attack(c, t) {
      const talk = await pair(t);
      const third = await connect(t, c.stranger);
      const callId = await ring(talk);
      for (const event of ['call:accept', 'call:reject', 'call:end']) {
        for (const user of [talk.consultant, talk.patient]) {
          await assertRefused(third, event, { toUserId: user.id, callId });
        }
      }
      say(talk.callee, 'accept', talk.caller.user);
      await talk.caller.next('call:accepted');
      await hangUp(talk);
    },
  },
  {
    n: 79,
    what: 'a caller who accepts',
    async attack(_, t) {
      const talk = await pair(t);
      const callId = await ring(talk);
      for (const user of [talk.consultant, talk.patient]) {
        await assertRefused(talk.caller, 'call:accept', { toUserId: user.id, callId });
      }
      await hangUp(talk);
    },
  },
  {
    n: 80,
    what: 'two devices that accept at once, at two gateways',
    async attack(_, t) {
      const talk = await pair(t);
      const second = await connect(t, talk.patient, { url: gateway(2) });
      await ring(talk);
      await second.next('call:incoming');
      const payload = { toUserId: talk.consultant.id };
      const answers = await Promise.all(
        [talk.callee, second].map((device) => device.ask('call:accept', payload)),
      );
      const failed = answers.filter(({ event }) => event === 'error');
      assert.equal(failed.length, 1, JSON.stringify(answers));
      assert.equal(failed[0].data.code, 'conflict');
      await talk.caller.next('call:accepted');
      say(talk.caller, 'end', talk.patient);
      await talk.caller.until(() => told(talk.caller).includes('call:accepted') || undefined, 'it');
    },
  },
  {
    n: 81,
    what: 'accepting in the moment in which nobody answered',
    shown: [
      'services/chat-store/tests/it/calls_race.rs',
      'each_call_has_one_legal_history_whichever_processes_touch_it_and_die',
    ],
  },
  {
    n: 82,
    what: 'ending what is over',
    async attack(_, t) {
      const talk = await pair(t);
      await ring(talk);
      await hangUp(talk);
      const before = told(talk.callee).length;
      say(talk.caller, 'end', talk.patient);
      say(talk.caller, 'end', talk.patient);
      const callId = await ring(talk);
      assert.ok(callId);
      const heard = told(talk.callee).slice(before);
      assert.deepEqual(heard, ['call:incoming']);
      await hangUp(talk);
    },
  },
  {
    n: 83,
    what: 'signals to others, too early and too late',
    async attack(c, t) {
      const talk = await pair(t);
      const third = await connect(t, c.stranger);
      for (const kind of ['offer', 'answer', 'ice-candidate']) {
        signal(third, kind, talk.patient, CANARY);
        signal(third, kind, talk.consultant, CANARY);
      }
      await ring(talk);
      signal(talk.callee, 'answer', talk.consultant, CANARY);
      say(talk.callee, 'accept', talk.consultant);
      await talk.caller.next('call:accepted');
      await hangUp(talk);
      signal(talk.caller, 'offer', talk.patient, CANARY);
      signal(talk.callee, 'answer', talk.consultant, CANARY);
      await Promise.all([talk.caller, talk.callee].map((client) => client.ask('no_such_event')));
      assert.deepEqual(
        told(talk.callee).filter((name) => name.startsWith('webrtc')),
        [],
      );
    },
    shown: ['services/realtime-gateway/tests/it/calls_signals.rs', 'third_parties_are_not_heard'],
  },
  {
    n: 84,
    what: 'signals in the name of somebody else',
    async attack(c, t) {
      const talk = await pair(t);
      await ring(talk);
      say(talk.callee, 'accept', talk.consultant);
      await talk.callee.next('call:connected');
      talk.caller.emit('webrtc:offer', {
        toUserId: talk.patient.id,
        fromUserId: c.stranger.id,
        offer: { type: 'offer', sdp: CANARY },
      });
      const { fromUserId } = await talk.callee.next('webrtc:offer');
      assert.equal(fromUserId, talk.consultant.id);
      await hangUp(talk);
    },
  },
  {
    n: 85,
    what: 'signals that are too large, or too many',
    async attack(_, t) {
      const talk = await pair(t);
      const to = { toUserId: talk.patient.id };
      const sdp = CANARY + 'x'.repeat(200_000);
      await assertRefused(talk.caller, 'webrtc:offer', { ...to, offer: { type: 'offer', sdp } });
      const candidate = { candidate: 'x'.repeat(5_000) };
      await assertRefused(talk.caller, 'webrtc:ice-candidate', { ...to, candidate });
      await ring(talk);
      let refused = 0;
      for (let i = 0; i < 100; i += 1) {
        const { event } = (await talk.caller.ask('webrtc:ice-candidate', {
          ...to,
          candidate: { candidate: `${CANARY} ${i}` },
        })) ?? { event: undefined };
        refused += event === 'error';
      }
      assert.ok(refused >= 100 - 64, `${refused} of 100 refused`);
      await hangUp(talk);
    },
  },
  {
    n: 86,
    what: 'calling again and again',
    async attack(_, t) {
      const talk = await pair(t);
      for (let i = 0; i < 100; i += 1) {
        initiate(talk.caller, talk.patient, talk.conversationId);
      }
      await talk.callee.next('call:incoming');
      await talk.caller.ask('no_such_event');
      assert.equal((await as(talk.patient).get('/chat/calls')).data.length, 1);
      await hangUp(talk);
      assert.equal((await endedCalls(talk.patient)).length, 1);
    },
    shown: ['services/realtime-gateway/tests/it/limits.rs', 'calls_are_begun_at_a_rate'],
  },
  {
    n: 87,
    what: 'kinds of calls that are none, and reasons that are too long',
    async attack(_, t) {
      const talk = await pair(t);
      const { conversationId } = talk;
      for (const callType of ['hologram', '', 7, null, {}, 'VIDEO', 'x'.repeat(10_000)]) {
        const payload = { toUserId: talk.patient.id, conversationId, callType };
        await assertRefused(talk.caller, 'call:initiate', payload, JSON.stringify(callType));
      }
      await ring(talk);
      const reason = `<b>${CANARY}</b>${'x'.repeat(10_000)}`;
      const answer = await talk.callee.ask('call:reject', { toUserId: talk.consultant.id, reason });
      if (answer.event === 'error') {
        await hangUp(talk);
      } else {
        const rejected = await talk.caller.next('call:rejected');
        assert.ok(rejected.reason.length <= 200, `${rejected.reason.length} characters`);
      }
    },
  },
  {
    n: 88,
    what: "the death of the caller's gateway while it rings",
    shown: [
      'tests/clients/faults/calls.test.mjs',
      'a gateway that is killed while calls ring and go on ends none whose people come back',
    ],
  },
  {
    n: 89,
    what: 'calling while Redis is away',
    shown: [
      'services/realtime-gateway/tests/it/calls_events.rs',
      'without_a_store_the_client_learns_it',
    ],
  },
];
