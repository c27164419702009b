// Entries 90 to 96: the broker, and who comes from inside.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import { connect as connectNats, nkeyAuthenticator } from '@nats-io/transport-node';

import { connect } from '../lib/client.mjs';
import { app, nats, natsSeeds } from '../lib/environment.mjs';
import { posted } from '../lib/rest.mjs';
import { metric } from './packets.mjs';
import { CANARY, subjectOf } from './tools.mjs';

const BAD = /^chat_gateway_bad_envelopes_total (\d+)/gm;

/** Logs in to the broker as a service, and asserts that it refuses each of these. */
async function assertRefused(t, name, { says = [], hears = [] }) {
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(natsSeeds[name]));
  const broker = await connectNats({ servers: nats.url, authenticator });
  t.after(() => broker.close());
  const refused = [];
  const listening = (async () => {
    for await (const { type, error } of broker.status()) if (type === 'error') refused.push(`${error}`);
  })();
  /** What the broker says of it comes before its answer to the flush. */
  const refusal = async (what) => {
    await broker.flush();
    await setImmediate();
    assert.match(refused.pop() ?? 'nothing', what);
  };
  for (const subject of says) {
    broker.publish(subject, CANARY);
    await refusal(/permissions violation for publish/i);
  }
  for (const subject of hears) {
    broker.subscribe(subject, { callback: () => {} });
    await refusal(/permissions violation for subscription/i);
  }
  await broker.close();
  await listening;
}

export const rows = [
  {
    n: 90,
    what: 'answers and inboxes of others',
    async attack(_, t) {
      const says = ['_INBOX.gateway.forged', '_INBOX.store.forged', 'chat.v1.ctl.revoked'];
      says.push(`chat.v1.out.${app.name}.message.created`, `chat.v1.in.${app.name}.user`);
      const hears = ['_INBOX.store.>', '_INBOX.>', 'chat.v1.rpc.>', 'chat.v1.out.>', '>'];
      await assertRefused(t, 'gateway', { says, hears });
      await assertRefused(t, 'store', {
        says: ['chat.v1.rpc.00.messages.append', `chat.v1.in.${app.name}.user`],
        hears: ['chat.v1.usr.>', '_INBOX.gateway.>', '>'],
      });
    },
    shown: ['services/chat-store/tests/it/nats_permissions.rs', 'whoever_says_what_it_may_not_is_refused'],
  },
  {
    n: 91,
    what: "users' subjects by another service",
    async attack(c, t) {
      await connect(t, c.patient);
      const subject = subjectOf(app.name, c.patient.id);
      const before = await metric(BAD);
      const controls = ['revoked', 'used'].map((name) => `chat.v1.ctl.${name}`);
      await assertRefused(t, 'internal', {
        says: [subject, 'chat.v1.rpc.00.messages.append', ...controls, '_INBOX.gateway.forged'],
        hears: [subject, 'chat.v1.usr.>', 'chat.v1.rpc.>', `chat.v1.in.${app.name}.user`, '>'],
      });
      assert.equal(await metric(BAD), before, 'nothing came');
    },
    shown: ['services/chat-store/tests/it/nats_permissions.rs', 'whoever_listens_to_what_is_not_for_it_is_refused'],
  },
  {
    n: 92,
    what: 'envelopes that mean nothing',
    async attack(c, t) {
      const client = await connect(t, c.patient);
      // Stores answer gateways, and nobody else.
      const broker = await connectNats({ servers: nats.url, inboxPrefix: '_INBOX.gateway' });
      t.after(() => broker.close());
      const subject = subjectOf(app.name, c.patient.id);
      const before = await metric(BAD);
      const text = Buffer.from(CANARY);
      for (const bytes of [
        randomBytes(64),
        Buffer.from([0x08]),
        Buffer.from([0x08, 0x63, 0x12, 0x01, 0x78]),
        Buffer.concat([Buffer.from([0x12, text.length]), text]),
        Buffer.alloc(900_000, 0xff),
        Buffer.concat([Buffer.from([0x52, 0xff, 0xff, 0xff, 0xff, 0x0f]), text]),
      ]) {
        broker.publish(subject, bytes);
        for (const control of ['revoked', 'used']) broker.publish(`chat.v1.ctl.${control}`, bytes);
        broker.publish('chat.v1.rpc.00.messages.append', bytes, { reply: broker.options.inboxPrefix });
      }
      for (const name of ['messages.append', 'users.open', 'calls.initiate', 'revocations.list']) {
        const answer = await broker.request(`chat.v1.rpc.00.${name}`, randomBytes(100), {
          timeout: 10_000,
        });
        assert.ok(answer.data.length > 0, name);
      }
      await broker.flush();
      const { message } = await posted(c.consultant, c.ids, CANARY);
      await client.next('new_message', (data) => data.message.id === message.id);
      assert.ok((await metric(BAD)) > before, 'they are counted');
    },
    shown: ['services/realtime-gateway/tests/it/chat_delivery.rs', 'what_means_nothing_is_dropped'],
  },
  {
    n: 93,
    what: 'an event far ahead of the others',
    shown: ['services/realtime-gateway/tests/it/chat_delivery.rs', 'a_gap_too_long_to_close_is_told'],
  },
  {
    n: 94,
    what: 'an append that is replayed',
    shown: ['services/realtime-gateway/tests/it/chat_messages.rs', 'the_same_key_is_the_same_message'],
  },
  {
    n: 95,
    what: 'an append in the name of somebody who is not in it',
    shown: ['services/chat-store/tests/it/rpc.rs', 'failures_say_what_is_wrong'],
  },
  {
    n: 96,
    what: 'users whose ids are subjects',
    shown: ['proto/src/subject.rs', 'odd_user_ids_cannot_reach_other_subjects'],
  },
];
