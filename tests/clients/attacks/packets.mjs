// Entries 58 to 76: packets of Socket.IO, and the events in them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { Client, connect, connectAndJoin, gateway, WEBSOCKET } from '../lib/client.mjs';
import { newUser } from '../lib/directory.mjs';
import { app, gateways, serviceToken, stores } from '../lib/environment.mjs';
import { as, posted } from '../lib/rest.mjs';
import { connectRoot, newPerson } from '../lib/root.mjs';
import { seconds, sign } from '../lib/token.mjs';
import { CANARY, enter, frame, secret, Ws } from './tools.mjs';

const one = gateways[0].url;

/** Asserts that a client in `/chat` is closed when it says this. */
async function assertCloses(c, ...texts) {
  const ws = await enter(one, c.stranger.token);
  for (const text of texts) ws.write(Buffer.isBuffer(text) ? text : frame(text));
  await ws.closed().catch(() => assert.fail(`not closed: ${texts}`));
}

/** Asserts that an event of the stranger is an error of this code. */
async function assertError(client, name, payload, code) {
  const { event, data } = await client.ask(name, payload);
  assert.equal(event, 'error', `${name} ${JSON.stringify(payload)}`);
  assert.ok([code].flat().includes(data.code), `${data.code}: ${data.message}`);
  return data;
}

/** Sums a metric over all gateways. */
export async function metric(pattern) {
  const texts = await Promise.all(
    gateways.map(({ admin_url: url }) => fetch(`${url}/metrics`).then((answer) => answer.text())),
  );
  const values = texts.flatMap((text) => [...text.matchAll(pattern)].map(([, value]) => +value));
  return values.reduce((sum, value) => sum + value, 0);
}

/** Ends tokens as another service does. */
export async function revoke(body) {
  const url = `${stores.at(-1).internal_url}/internal/v1/apps/${app.name}/revocations`;
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 204);
}

export const rows = [
  {
    n: 58,
    what: 'an event before CONNECT',
    async attack() {
      for (const text of ['42/chat,["send_message",{}]', '42["x"]', '41/chat,', '43/chat,1[]']) {
        const ws = new Ws(one);
        await ws.next('0');
        await ws.say(text).closed();
      }
    },
  },
  {
    n: 59,
    what: 'CONNECT twice',
    attack: (c) => assertCloses(c, `40/chat,${JSON.stringify({ token: c.stranger.token })}`),
  },
  {
    n: 60,
    what: 'namespaces that are not there',
    async attack() {
      const ws = new Ws(one);
      await ws.next('0');
      for (const namespace of ['/x', '/chat/', '/CHAT', '/ws', `/${'x'.repeat(200)}`]) {
        const answer = await ws.say(`40${namespace},`).next('44');
        assert.match(answer, /"message":"Invalid namespace"/, namespace);
      }
      ws.end();
    },
  },
  {
    n: 61,
    what: 'CONNECT with a bad token',
    async attack(c) {
      const forged = secret(
        sign({ sub: c.patient.id, role: 'patient', exp: seconds() + 60 }, { secret: 'x'.repeat(32) }),
      );
      const ws = new Ws(one);
      await ws.next('0');
      for (const auth of [undefined, {}, { token: '' }, { token: CANARY }, { token: forged }, { token: 7 }]) {
        const answer = await ws.say(`40/chat,${auth ? JSON.stringify(auth) : ''}`).next('44/chat,');
        assert.match(answer, /"code":"token_(missing|invalid)"/, JSON.stringify(auth));
      }
      await ws.say('42/chat,["join_conversation",{}]').closed();
    },
  },
  {
    n: 62,
    what: 'packets that are none',
    async attack(c) {
      for (const text of [
        '47/chat,["x"]',
        '4x',
        '4',
        '42/chat,',
        '42/chat,{}',
        '42/chat,[]',
        '42/chat,[{}]',
        '42/chat,[7]',
        '42/chat,["x"',
        '42/chat,["x"]]',
        '44/chat,{}',
        '42/chat,["connect"]',
        '42/chat,["connect_error"]',
        '42/chat,["disconnect"]',
        '42/chat,["disconnecting"]',
        '42/chat,["newListener"]',
        '42/chat,["removeListener"]',
      ]) {
        await assertCloses(c, text);
      }
    },
  },
  {
    n: 63,
    what: 'attachments that do not fit',
    async attack(c) {
      const holder = (num) => `451-/chat,["x",{"_placeholder":true,"num":${num}}]`;
      await assertCloses(c, holder(0), '42/chat,["x"]');
      const binary = frame(Buffer.from([1]), { opcode: 2 });
      await assertCloses(c, binary);
      for (const num of ['1', '-1', '"0"', '"__proto__"', 'null', '1e9']) {
        await assertCloses(c, holder(num), binary, '4nonsense');
      }
      const many = Array.from({ length: 11 }, (_, num) => ({ _placeholder: true, num }));
      await assertCloses(c, `4511-/chat,${JSON.stringify(['x', ...many])}`);
      await assertCloses(c, '4599999999999999999999-/chat,["x"]');
    },
  },
  {
    n: 64,
    what: 'acknowledgement ids that are odd',
    async attack(c) {
      for (const id of ['9007199254740993', '18446744073709551616', '99999999999999999999999', '-1']) {
        const ws = await enter(one, c.stranger.token);
        ws.say(`42/chat,${id}["no_such_event"]`);
        ws.say('42/chat,7["no_such_event"]');
        await ws.until(
          () => (ws.isClosed || ws.text.includes('43/chat,7[') ? true : undefined),
          'an answer or the end',
        );
        ws.end();
      }
      const ws = await enter(one, c.stranger.token);
      ws.say('43/chat,1[{}]').say('42/chat,7["no_such_event"]').say('42/chat,7["no_such_event"]');
      await ws.next('43/chat,7[');
      await ws.next('43/chat,7[');
      ws.end();
    },
  },
  {
    n: 65,
    what: 'events that nobody knows',
    async attack(c, t) {
      const client = await connect(t, c.stranger);
      for (const name of ['__proto__', 'constructor', 'x'.repeat(64), '日本', 'call:', 'error']) {
        client.emit(name, { content: CANARY });
        const answer = await client.ask(name, {});
        assert.equal(answer.event, 'error', name);
      }
      const ws = await enter(one, c.stranger.token);
      await ws.say(`42/chat,["${'x'.repeat(100_000)}"]`).say('42/chat,7["x"]').until(
        () => (ws.isClosed || ws.text.includes('43/chat,7[') ? true : undefined),
        'an answer or the end',
      );
      ws.end();
    },
    shown: ['services/realtime-gateway/tests/it/chat_messages.rs', 'unknown_events_are_ignored'],
  },
  {
    n: 66,
    what: 'payloads of every wrong kind, in every dialect',
    async attack(c, t) {
      const payloads = [[], [null], [7], [true], ['x'], [[]], [[{}]], [{}], [{ data: { data: 1 } }]];
      const say = async (client, names) => {
        for (const name of names) {
          for (const payload of payloads) client.emit(name, ...payload);
        }
        assert.ok(client.socket.connected);
        await client.ask('no_such_event').catch(() => assert.fail('no answer'));
      };
      await say(await connect(t, c.stranger), ['join_conversation', 'send_message', 'mark_read']);
      for (const [dialect, role, names] of [
        [c.care, 'doctor', ['send_message', 'typing_start', 'mark_read', 'set_status']],
        [c.clinic, 'doctor', ['user_joined', 'send_message', 'user_typing']],
        [c.booking, 'client', ['joinBooking', 'sendMessage', 'markAsRead']],
      ]) {
        await say(await connectRoot(t, await newPerson(dialect, role)), names);
      }
    },
    shown: ['tests/clients/chat/bad-input.test.mjs', 'that makes no sense is answered by an error'],
  },
  {
    n: 67,
    what: 'joining as somebody else',
    async attack(c, t) {
      const client = await connect(t, c.stranger);
      const { conversationId } = c;
      for (const who of [
        { userId: c.patient.id, userType: 'patient' },
        { userId: c.stranger.id, userType: 'consultant' },
      ]) {
        await assertError(client, 'join_conversation', { conversationId, ...who }, 'unauthorized');
      }
    },
  },
  {
    n: 68,
    what: "joining a stranger's conversation",
    async attack(c, t) {
      const client = await connect(t, c.stranger);
      const me = { userId: c.stranger.id, userType: 'patient' };
      const { conversationId } = c;
      await assertError(client, 'join_conversation', { conversationId, ...me }, 'unauthorized');
      const unknown = { conversationId: randomUUID(), ...me };
      await assertError(client, 'join_conversation', unknown, 'not_found');
    },
  },
  {
    n: 69,
    what: "sending into a stranger's conversation, and in another role",
    async attack(c, t) {
      const content = { conversationId: c.conversationId, content: CANARY };
      const client = await connect(t, c.stranger);
      await assertError(client, 'send_message', { ...content, senderType: 'patient' }, 'unauthorized');
      const patient = await connect(t, c.patient);
      const other = { ...content, senderType: 'consultant' };
      await assertError(patient, 'send_message', other, 'unauthorized');
    },
  },
  {
    n: 70,
    what: 'typing where one does not belong, and as somebody else',
    async attack(c, t) {
      const victim = await connectAndJoin(t, c.consultant, c.conversationId);
      const client = await connect(t, c.stranger);
      const { conversationId } = c;
      client.emit('typing_start', { conversationId, userId: c.patient.id, userType: 'patient' });
      await assertError(client, 'typing_start', { conversationId, userId: c.stranger.id }, [
        'unauthorized',
        'invalid',
      ]);
      const patient = await connectAndJoin(t, c.patient, conversationId);
      patient.emit('typing_start', {
        conversationId,
        userId: c.patient.id,
        userType: 'patient',
      });
      await victim.next('user_typing');
      const typed = victim.all('user_typing').map(({ userId }) => userId);
      assert.deepEqual(new Set(typed), new Set([c.patient.id]));
    },
  },
  {
    n: 71,
    what: "marking a stranger's messages",
    async attack(c, t) {
      const { message } = await posted(c.consultant, c.ids, CANARY);
      const client = await connect(t, c.stranger);
      const payload = { conversationId: c.conversationId, messageIds: [message.id] };
      await assertError(client, 'mark_read', { ...payload, userId: c.stranger.id }, 'unauthorized');
      const path = `/chat/conversations/${c.conversationId}/messages`;
      const { data } = await as(c.patient).get(path);
      assert.equal(data.messages.find(({ id }) => id === message.id).isRead, false);
    },
  },
  {
    n: 72,
    what: 'sessions of others, and forged ones',
    async attack(c) {
      const client = new Ws(one);
      await client.next('0');
      const auth = { token: c.patient.token };
      const answer = await client.say(`40/chat,${JSON.stringify(auth)}`).next('40/chat,');
      const { pid } = JSON.parse(answer.slice('40/chat,'.length));
      client.end();
      for (const bad of [
        { pid, offset: 'x' },
        { pid: `${pid}x`, offset: '' },
        { pid: pid.slice(0, -4), offset: 'x'.repeat(10_000) },
        { pid: 7, offset: {} },
        { pid: randomUUID(), offset: pid },
        { pid, offset: pid, token: c.stranger.token },
      ]) {
        const ws = new Ws(one);
        await ws.next('0');
        const next = await ws.say(`40/chat,${JSON.stringify({ ...auth, ...bad })}`).next('40/chat,');
        assert.notEqual(JSON.parse(next.slice('40/chat,'.length)).pid, pid, JSON.stringify(bad));
        ws.end();
      }
    },
    shown: [
      'services/realtime-gateway/tests/it/chat_recovery.rs',
      'what_is_kept_is_of_no_use_to_anybody_else',
    ],
  },
  {
    n: 73,
    what: 'a token that ends while its socket is open',
    shown: [
      'services/realtime-gateway/tests/it/chat_connect.rs',
      'an_expired_token_is_told_and_can_be_renewed',
    ],
  },
  {
    n: 74,
    what: 'a token that is revoked while its sockets are open',
    async attack(c, t) {
      const user = await newUser('patient');
      for (const [claim, body] of [
        ['jti', (name) => ({ tokenId: name })],
        ['sid', (name) => ({ sessionId: name })],
        ['iat', () => ({ userId: user.id })],
      ]) {
        const name = randomUUID();
        const value = claim === 'iat' ? seconds() - 10 : name;
        const claims = { sub: user.id, role: 'patient', exp: seconds() + 600, [claim]: value };
        const token = secret(sign(claims));
        const clients = [];
        for (let i = 0; i < gateways.length; i += 1) {
          clients.push(await connect(t, { ...user, token }, { url: gateway(i) }));
        }
        const before = performance.now();
        await revoke(body(name));
        await Promise.all(clients.map((client) => client.next('(disconnect)')));
        const took = Math.round(performance.now() - before);
        t.diagnostic(`revoked by ${claim}: ${clients.length} gateways after ${took} ms`);
        const path = `/chat/conversations?patientId=${user.id}`;
        for (const { url } of stores) {
          for (;;) {
            const answer = await fetch(`${url}/api/v1${path}`, {
              headers: { authorization: `Bearer ${token}` },
            });
            if (answer.status === 401) break;
          }
        }
        const all = Math.round(performance.now() - before);
        t.diagnostic(`revoked by ${claim}: ${stores.length} stores after ${all} ms`);
        const again = new Client(gateway(0), { token, ...WEBSOCKET.options });
        t.after(() => again.close());
        assert.equal((await again.next('(connect_error)')).data.code, 'token_invalid');
      }
    },
  },
  {
    n: 75,
    what: 'a flood of events',
    async attack(c) {
      const user = await newUser('patient');
      secret(user.token);
      const ws = await enter(one, user.token);
      const typing = { conversationId: c.conversationId, userId: user.id, userType: 'patient' };
      const packet = frame(`42/chat,["typing_start",${JSON.stringify(typing)}]`);
      ws.write(Buffer.concat(Array.from({ length: 2_000 }, () => packet)));
      await ws.until(() => ws.text.includes('"rate_limited"') || undefined, 'rate_limited');
      await ws.until(() => ws.text.includes('"retryAfterMs"') || undefined, 'retryAfterMs');
      await ws.next('41/chat,');
      ws.end();
      const again = new Client(one, { token: user.token, ...WEBSOCKET.options });
      const { data } = await again.next('(connect_error)');
      assert.equal(data.code, 'rate_limited');
      assert.ok(data.retryAfterMs > 1_000, `${data.retryAfterMs}`);
      again.close();
    },
    shown: [
      'services/realtime-gateway/tests/it/limits.rs',
      'who_keeps_on_rests_at_all_gateways_and_nobody_else_does',
    ],
  },
  {
    n: 76,
    what: 'coming and going all the time',
    async attack(c) {
      const user = await newUser('patient');
      secret(user.token);
      for (let round = 0; round < 20; round += 1) {
        const many = Array.from({ length: 10 }, () => enter(gateway(round), user.token));
        (await Promise.all(many)).forEach((ws) => ws.end());
      }
      const sockets = /^chat_gateway_users (\d+)/gm;
      assert.ok((await metric(sockets)) < 100, 'users are not forgotten');
    },
  },
];
