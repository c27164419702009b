// What attackers have that clients do not: bytes as they like, and no manners.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { connect } from 'node:net';

import { DEADLINE_MS } from '../lib/rest.mjs';

/** What must never be in a log. Each run has its own. */
export const CANARY = `canary-${randomUUID()}`;

/** Further texts that must not be there: tokens. */
export const secrets = new Set();

/** Remembers a token as something that nobody may log, and returns it. */
export function secret(token) {
  secrets.add(token.split('.').at(-1) || token);
  return token;
}

/** How much memory a process may win: what allocators keep, and a debug build's. */
export const GROWTH_KB = 64 * 1_024;

/** Fails for a process that has won more than that, in KB. */
export function assertFlat(who, before, now) {
  assert.ok(now - before < GROWTH_KB, `${who} has grown by ${now - before} KB`);
}

/** Fails for a log that has one of the canaries in it, and shows what is around that. */
export function assertClean(who, text, canaries) {
  for (const canary of canaries) {
    const at = text.indexOf(canary);
    assert.equal(at, -1, `${who}: ${text.slice(Math.max(0, at - 200), at + 20)}`);
  }
}

/** A TCP connection whose other end may do as it likes. */
export class Raw {
  #bytes = Buffer.alloc(0);
  #looks = new Set();

  constructor(url) {
    const { hostname, port } = new URL(url);
    this.socket = connect({ host: hostname, port });
    this.isClosed = false;
    this.socket.on('data', (data) => {
      this.#bytes = Buffer.concat([this.#bytes, data]);
      this.#look();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#look();
    });
  }

  #look() {
    this.#looks.forEach((look) => look());
  }

  get bytes() {
    return this.#bytes;
  }

  get text() {
    return this.#bytes.toString('latin1');
  }

  write(bytes) {
    this.socket.write(bytes);
    return this;
  }

  /** Waits until `found` returns something other than `undefined`. */
  until(found, what, deadline = DEADLINE_MS) {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#looks.delete(look);
      };
      const look = () => {
        const result = found();
        if (result !== undefined) {
          done();
          resolve(result);
        }
      };
      const timer = setTimeout(() => {
        done();
        const end = this.text.slice(-200);
        this.socket.destroy();
        reject(new Error(`${what} did not come; there is ${JSON.stringify(end)}`));
      }, deadline);
      this.#looks.add(look);
      look();
    });
  }

  closed(deadline) {
    return this.until(() => this.isClosed || undefined, 'the end', deadline);
  }

  end() {
    this.socket.destroy();
  }
}

/** Sends bytes, and returns all that comes back until the server closes. */
export async function exchange(url, bytes, deadline) {
  const raw = new Raw(url).write(bytes);
  await raw.closed(deadline);
  return raw.text;
}

/** The bytes of a frame; a client's are masked unless said otherwise. */
export function frame(payload, { opcode = 1, fin = true, rsv = 0, masked = true, length } = {}) {
  const data = Buffer.from(payload);
  const announced = length ?? BigInt(data.length);
  const size = announced < 126n ? 0 : announced < 65_536n ? 2 : 8;
  const head = Buffer.alloc(2 + size);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? Number(announced) : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(Number(announced), 2);
  if (size === 8) head.writeBigUInt64BE(announced, 2);
  if (!masked) return Buffer.concat([head, data]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, data.map((byte, i) => byte ^ key[i % 4])]);
}

/** A WebSocket of which the client decides on every bit. */
export class Ws extends Raw {
  #at;

  constructor(url, path = '/socket.io/?EIO=4&transport=websocket', headers = '') {
    super(url);
    this.messages = [];
    this.write(
      `GET ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: Upgrade\r\n` +
        'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${headers}\r\n`,
    );
  }

  /** Waits for the answer to the request and returns its head. */
  async head() {
    const end = await this.until(() => {
      const at = this.text.indexOf('\r\n\r\n');
      return at < 0 ? undefined : at + 4;
    }, 'the head');
    this.#at ??= end;
    return this.text.slice(0, end);
  }

  #read() {
    for (;;) {
      const rest = this.bytes.subarray(this.#at);
      if (rest.length < 2) return;
      let size = rest[1] & 0x7f;
      let head = 2;
      if (size === 126) {
        if (rest.length < 4) return;
        [size, head] = [rest.readUInt16BE(2), 4];
      } else if (size === 127) {
        if (rest.length < 10) return;
        [size, head] = [Number(rest.readBigUInt64BE(2)), 10];
      }
      if (rest.length < head + size) return;
      const data = rest.subarray(head, head + size);
      this.messages.push({ opcode: rest[0] & 0x0f, data, text: data.toString() });
      this.#at += head + size;
    }
  }

  /** Waits for a message of text that begins so. */
  async next(prefix) {
    await this.head();
    return this.until(() => {
      this.#read();
      const at = this.messages.findIndex(({ text }) => text.startsWith(prefix));
      return at < 0 ? undefined : this.messages.splice(at, 1)[0].text;
    }, prefix);
  }

  /** Waits for the end, and returns the code of the close frame, if there was one. */
  async code(deadline) {
    await this.closed(deadline);
    this.#read();
    const close = this.messages.find(({ opcode }) => opcode === 8);
    return close && close.data.length >= 2 ? close.data.readUInt16BE(0) : undefined;
  }

  say(text) {
    return this.write(frame(text));
  }
}

/** Opens a WebSocket and enters `/chat`. */
export async function enter(url, token) {
  const ws = new Ws(url);
  await ws.next('0');
  ws.say(`40/chat,${JSON.stringify({ token })}`);
  await ws.next('40/chat,');
  return ws;
}

/** The subject of everything that concerns a user. */
export function subjectOf(app, user) {
  const hash = createHash('sha256').update(app).update('\0').update(user).digest('hex');
  return `chat.v1.usr.${hash.slice(0, 2)}.${hash.slice(0, 32)}`;
}
