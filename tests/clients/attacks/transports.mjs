// Entries 31 to 57: long-polling and WebSockets.
import assert from 'node:assert/strict';

import { gateways, publicUrl } from '../lib/environment.mjs';
import { CANARY, exchange, frame, Raw, Ws } from './tools.mjs';

const [one, other] = [gateways[0].url, gateways.at(-1).url];
const POLLING = 'EIO=4&transport=polling';

const ask = (query, options = {}, url = one) => fetch(`${url}/socket.io/?${query}`, options);

async function assertRefused(query, code, options, status = 400) {
  const answer = await ask(query, options);
  assert.equal(answer.status, status, query);
  assert.equal((await answer.json()).code, code, query);
}

/** Begins a session and returns its id. */
async function open(url = one) {
  const answer = await ask(POLLING, {}, url);
  assert.equal(answer.status, 200, 'a handshake');
  return JSON.parse((await answer.text()).slice(1)).sid;
}

const of = (sid) => `${POLLING}&sid=${sid}`;

/** Asserts that there is no such session any more. */
const assertOver = (sid) => assertRefused(of(sid), 1, { method: 'POST', body: '3' });

/** Sends bytes over a WebSocket, and asserts that it is closed with this code, or closed at once. */
async function assertCloses(bytes, code, what) {
  const ws = new Ws(one);
  await ws.next('0');
  ws.write(bytes);
  const closed = await ws.code();
  assert.ok(closed === undefined || code === undefined || closed === code, `${closed} for ${what}`);
}

export const rows = [
  { n: 31, what: 'unknown transport', attack: () => assertRefused('EIO=4&transport=smoke', 0) },
  { n: 32, what: 'unknown sid', attack: () => assertRefused(of('nonsense'), 1) },
  { n: 33, what: 'handshake by POST', attack: () => assertRefused(POLLING, 2, { method: 'POST' }) },
  { n: 34, what: 'websocket without upgrade', attack: () => assertRefused('EIO=4&transport=websocket', 3) },
  {
    n: 35,
    what: 'other versions',
    async attack() {
      for (const version of ['EIO=3', 'EIO=5', 'EIO=x', 'x=1']) {
        await assertRefused(`${version}&transport=polling`, 5);
      }
    },
  },
  {
    n: 36,
    what: 'a foreign page',
    async attack() {
      const headers = 'Origin: https://evil.example\r\n';
      const answer = await exchange(
        one,
        `GET /socket.io/?${POLLING} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`,
      );
      assert.match(answer, /^HTTP\/1.1 403/);
      assert.match(answer, /"code":4/);
      for (const path of ['/socket.io/?EIO=4&transport=websocket', '/ws']) {
        assert.match(await new Ws(one, path, headers).head(), /^HTTP\/1.1 403/, path);
      }
    },
  },
  {
    n: 37,
    what: 'two GETs at once',
    async attack() {
      const sid = await open();
      const first = ask(of(sid));
      await first;
      const waiting = ask(of(sid)).then(
        (answer) => answer.text(),
        () => '',
      );
      const raw = new Raw(one).write(`GET /socket.io/?${of(sid)} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await raw.until(() => (raw.text.includes(' 400 ') || raw.isClosed ? true : undefined), '400');
      raw.end();
      await waiting;
      await assertOver(sid);
    },
    shown: ['services/realtime-gateway/tests/it/transport_polling.rs', 'a_second_get_ends_the_session'],
  },
  {
    n: 38,
    what: 'two POSTs at once',
    async attack() {
      const sid = await open();
      const head = `POST /socket.io/?${of(sid)} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n`;
      const slow = new Raw(one).write(`${head}4`);
      for (;;) {
        // Until the first is known to the session.
        const { status } = await ask(of(sid), { method: 'POST', body: '3' });
        if (status !== 200) break;
      }
      slow.end();
      await assertOver(sid);
    },
  },
  {
    n: 39,
    what: 'a binary body',
    async attack() {
      const sid = await open();
      const headers = { 'Content-Type': 'application/octet-stream' };
      const answer = await ask(of(sid), { method: 'POST', headers, body: Buffer.from([4, 1]) });
      assert.equal(answer.status, 400);
      await assertOver(sid);
    },
  },
  {
    n: 40,
    what: 'a body beyond the limit, announced or not',
    async attack() {
      const announced = await open();
      const body = '4'.repeat(1_000_001);
      const { status } = await ask(of(announced), { method: 'POST', body }).catch(() => ({
        status: 413,
      }));
      assert.equal(status, 413);
      const chunked = await open();
      const raw = new Raw(one).write(
        `POST /socket.io/?${of(chunked)} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      for (let i = 0; i < 20; i += 1) raw.write(`10000\r\n${'4'.repeat(65_536)}\r\n`);
      await raw.until(() => (raw.text.includes(' 413 ') || raw.isClosed ? true : undefined), '413');
      raw.end();
      await assertOver(chunked);
    },
  },
  {
    n: 41,
    what: 'a payload of very many packets',
    async attack() {
      for (const body of ['\x1e'.repeat(100_000), '6\x1e'.repeat(100_000), '', '2\x1e2\x1e2']) {
        const sid = await open();
        await ask(of(sid), { method: 'POST', body });
        await ask(`${of(sid)}`, { method: 'POST', body: '1' });
        await assertOver(sid);
      }
    },
  },
  {
    n: 42,
    what: 'the id of a session at another gateway',
    async attack() {
      const sid = await open(other);
      const answer = await ask(of(sid), { method: 'POST', body: '40/nowhere,' });
      assert.equal(await answer.text(), 'ok');
      assert.match(await (await ask(of(sid))).text(), /Invalid namespace/);
      await ask(of(sid), { method: 'POST', body: '1' });
    },
  },
  {
    n: 43,
    what: 'an id that was tampered with',
    async attack() {
      const sid = await open();
      const changed = `${sid.slice(0, -1)}${sid.endsWith('A') ? 'B' : 'A'}`;
      for (const bad of [changed, sid.slice(1), `${sid}A`, 'g1.x', '../../x', 'x'.repeat(10_000)]) {
        await assertRefused(of(encodeURIComponent(bad)), 1);
      }
      await ask(of(sid), { method: 'POST', body: '1' });
    },
  },
  {
    n: 44,
    what: 'handshakes that nobody completes',
    async attack() {
      // Fewer than the list says: they are freed after 45 s, and the memory is looked at before.
      for (let round = 0; round < 20; round += 1) {
        await Promise.all(Array.from({ length: 50 }, () => open(gateways[round % 2].url)));
      }
    },
    shown: ['crates/socketio-protocol/tests/scenarios/main.rs', 'a_client_in_no_namespace_is_given_up'],
  },
  {
    n: 45,
    what: 'a pong that never comes',
    shown: [
      'services/realtime-gateway/tests/it/transport_websocket.rs',
      'a_client_that_answers_no_ping_is_closed',
    ],
  },
  {
    n: 46,
    what: 'a frame without a mask',
    attack: () => assertCloses(frame('40', { masked: false }), 1002, 'no mask'),
  },
  {
    n: 47,
    what: 'reserved bits',
    async attack() {
      for (const rsv of [1, 2, 4, 7]) {
        await assertCloses(frame('40', { rsv }), 1002, `rsv ${rsv}`);
      }
    },
  },
  {
    n: 48,
    what: 'opcodes and control frames that are none',
    async attack() {
      for (const opcode of [3, 7, 11, 15]) {
        await assertCloses(frame('40', { opcode }), 1002, `opcode ${opcode}`);
      }
      await assertCloses(frame('x', { opcode: 9, fin: false }), 1002, 'a ping in pieces');
      await assertCloses(frame('x'.repeat(126), { opcode: 9 }), 1002, 'a ping too long');
      await assertCloses(frame('x', { opcode: 8 }), 1002, 'a close of one byte');
      await assertCloses(frame('x', { opcode: 0 }), 1002, 'a continuation of nothing');
    },
  },
  {
    n: 49,
    what: 'text that is not UTF-8',
    async attack() {
      for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
        await assertCloses(frame(Buffer.from(bytes)), 1007, `${bytes}`);
      }
    },
  },
  {
    n: 50,
    what: 'frames that announce too much',
    async attack() {
      for (const length of [1n << 63n, (1n << 63n) - 1n, 1n << 40n, 1_000_001n]) {
        await assertCloses(frame('', { length }), length >> 63n ? undefined : 1009, `${length}`);
      }
      await assertCloses(frame('4'.repeat(1_000_001)), 1009, 'as much in fact');
    },
  },
  {
    n: 51,
    what: 'very many fragments',
    async attack() {
      const ws = new Ws(one);
      await ws.next('0');
      ws.write(frame('4', { fin: false }));
      const piece = frame('x', { opcode: 0, fin: false });
      ws.write(Buffer.concat(Array.from({ length: 10_000 }, () => piece)));
      ws.write(frame('', { opcode: 0, fin: true }));
      // Nonsense in the end, whatever it was made of.
      await ws.closed();
      const empty = new Ws(one);
      await empty.next('0');
      empty.write(frame('', { fin: false }));
      const nothing = frame('', { opcode: 0, fin: false });
      empty.write(Buffer.concat(Array.from({ length: 100_000 }, () => nothing)));
      await empty.closed();
    },
  },
  {
    n: 52,
    what: 'a flood of pings',
    async attack() {
      const ws = new Ws(one);
      await ws.next('0');
      const ping = frame('x', { opcode: 9 });
      for (let i = 0; i < 100 && !ws.isClosed; i += 1) {
        ws.write(Buffer.concat(Array.from({ length: 1_000 }, () => ping)));
      }
      await ws.closed();
    },
  },
  {
    n: 53,
    what: 'a client that stops reading',
    shown: [
      'services/realtime-gateway/tests/it/transport_websocket.rs',
      'a_client_that_reads_nothing_is_closed',
    ],
  },
  {
    n: 54,
    what: 'a connection of which one end is gone',
    shown: [
      'services/realtime-gateway/tests/it/transport_websocket.rs',
      'a_client_that_answers_no_ping_is_closed',
    ],
  },
  {
    n: 55,
    what: 'compression',
    async attack() {
      const headers = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n';
      const ws = new Ws(one, undefined, headers);
      const head = await ws.head();
      assert.match(head, /^HTTP\/1.1 101/);
      assert.doesNotMatch(head, /extensions/i);
      ws.end();
    },
  },
  {
    n: 56,
    what: 'a huge head',
    async attack() {
      for (const url of [one, publicUrl]) {
        const ws = new Ws(url, undefined, `X-A: ${CANARY}${'x'.repeat(64 * 1_024)}\r\n`);
        assert.match(await ws.head(), /^HTTP\/1.. (400|431)/, url);
        ws.end();
      }
    },
  },
  {
    n: 57,
    what: 'a probe that goes wrong',
    async attack() {
      for (const wrong of ['3probe', '2', '2prob', '5', '40']) {
        const sid = await open();
        const ws = new Ws(one, `/socket.io/?EIO=4&transport=websocket&sid=${sid}`);
        await ws.head();
        ws.say(wrong);
        await ws.closed();
        const answer = await ask(of(sid), { method: 'POST', body: '40/nowhere,' });
        assert.equal(await answer.text(), 'ok', `${wrong} costs the WebSocket alone`);
        await ask(of(sid), { method: 'POST', body: '1' });
      }
    },
    shown: ['crates/socketio-protocol/tests/scenarios/polling.rs', 'a_probe_has_ten_seconds'],
  },
];
