// Asks a TURN server for a relay as a browser would, over TCP, with nothing but Node.
//
// Enough of RFC 8489 and RFC 8656 to learn what the server allows; no media is relayed.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

import { DEADLINE_MS } from './rest.mjs';

const [ALLOCATE, CREATE_PERMISSION] = [0x0003, 0x0008];
const COOKIE = 0x2112a442;
const [USERNAME, INTEGRITY, ERROR_CODE, PEER, REALM, NONCE] = [6, 8, 9, 0x12, 0x14, 0x15];
const REQUESTED_TRANSPORT = [0x0019, Buffer.from([17, 0, 0, 0])]; // UDP between the peers.

/** Asks the server at `url` for a relay: `'done'`, or the code of the error that came. */
export function allocate(url, credentials) {
  return ask(url, credentials, [[ALLOCATE, REQUESTED_TRANSPORT]]);
}

/** Asks for a relay that may send to the IPv4 address `peer`; sends nothing there. */
export function permit(url, credentials, peer) {
  return ask(url, credentials, [
    [ALLOCATE, REQUESTED_TRANSPORT],
    [CREATE_PERMISSION, [PEER, xorAddress(peer)]],
  ]);
}

/** Makes requests until one fails. The relay ends with the connection. */
async function ask(url, { username, credential }, requests) {
  const [, host, port] = /^turn:([^:?]+):(\d+)/.exec(url);
  const socket = connect({ host, port: Number(port), timeout: DEADLINE_MS });
  socket.on('timeout', () => socket.destroy(new Error(`${url} does not answer`)));
  try {
    const answers = messages(socket);
    socket.write(message(ALLOCATE, [REQUESTED_TRANSPORT]));
    const { error, realm, nonce } = (await answers.next()).value;
    if (error !== 401) {
      throw new Error(`${url} answered ${error} to a request without credentials`);
    }

    const key = createHash('md5').update(`${username}:${realm}:${credential}`).digest();
    const identity = [[USERNAME, username], [REALM, realm], [NONCE, nonce]];
    for (const [type, attribute] of requests) {
      socket.write(message(type, [attribute, ...identity], key));
      const answer = (await answers.next()).value;
      if (answer.error) {
        return answer.error;
      }
    }
    return 'done';
  } finally {
    socket.destroy();
  }
}

/** A request; with a key, it is signed. */
function message(type, attributes, key) {
  const body = Buffer.concat(attributes.map(([type, value]) => encoded(type, value)));
  const header = Buffer.alloc(20);
  header.writeUInt16BE(type, 0);
  header.writeUInt32BE(COOKIE, 4);
  randomBytes(12).copy(header, 8);
  // The length that is signed counts the signature.
  header.writeUInt16BE(body.length + (key ? 24 : 0), 2);
  const unsigned = Buffer.concat([header, body]);
  if (!key) {
    return unsigned;
  }
  const mac = createHmac('sha1', key).update(unsigned).digest();
  return Buffer.concat([unsigned, encoded(INTEGRITY, mac)]);
}

function encoded(type, value) {
  const bytes = Buffer.from(value);
  const padded = Buffer.alloc(4 + Math.ceil(bytes.length / 4) * 4);
  padded.writeUInt16BE(type, 0);
  padded.writeUInt16BE(bytes.length, 2);
  bytes.copy(padded, 4);
  return padded;
}

/** An IPv4 address, with no port, in the form that routers do not rewrite. */
function xorAddress(address) {
  const bytes = Buffer.from([0, 1, 0, 0, ...address.split('.').map(Number)]);
  bytes.writeUInt16BE(COOKIE >>> 16, 2);
  bytes.writeUInt32BE((bytes.readUInt32BE(4) ^ COOKIE) >>> 0, 4);
  return bytes;
}

/** The messages that come, each with what matters of its attributes. */
async function* messages(socket) {
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 20 && received.length >= 20 + received.readUInt16BE(2)) {
      const end = 20 + received.readUInt16BE(2);
      yield parsed(received.subarray(0, end));
      received = received.subarray(end);
    }
  }
  throw new Error('the TURN server closed the connection');
}

function parsed(bytes) {
  const answer = {};
  for (let at = 20; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    const value = bytes.subarray(at + 4, at + 4 + length);
    switch (bytes.readUInt16BE(at)) {
      case ERROR_CODE:
        answer.error = value[2] * 100 + value[3];
        break;
      case REALM:
        answer.realm = value.toString();
        break;
      case NONCE:
        answer.nonce = value.toString();
        break;
    }
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return answer;
}
