// Asks a TURN server for a relay as a browser would, over TCP, with nothing but Node.
//
// Enough of RFC 8489 and RFC 8656 to learn whether credentials are taken; no media is relayed.
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

import { DEADLINE_MS } from './rest.mjs';

const ALLOCATE = 0x0003;
const ALLOCATED = 0x0103;
const COOKIE = 0x2112a442;
const [USERNAME, INTEGRITY, ERROR_CODE, REALM, NONCE] = [0x0006, 0x0008, 0x0009, 0x0014, 0x0015];
const REQUESTED_TRANSPORT = [0x0019, Buffer.from([17, 0, 0, 0])]; // UDP between the peers.

/**
 * Asks the server at `url` for a relay: `'allocated'`, or the code of the error that came. The relay
 * ends with the connection.
 */
export async function allocate(url, { username, credential }) {
  const [, host, port] = /^turn:([^:?]+):(\d+)/.exec(url);
  const socket = connect({ host, port: Number(port), timeout: DEADLINE_MS });
  socket.on('timeout', () => socket.destroy(new Error(`${url} does not answer`)));
  try {
    const answers = messages(socket);
    socket.write(message([REQUESTED_TRANSPORT]));
    const challenge = (await answers.next()).value;
    if (challenge.error !== 401) {
      throw new Error(`${url} answered ${challenge.error} to a request without credentials`);
    }

    const { realm, nonce } = challenge;
    const key = createHash('md5').update(`${username}:${realm}:${credential}`).digest();
    const attributes = [REQUESTED_TRANSPORT, [USERNAME, username], [REALM, realm], [NONCE, nonce]];
    socket.write(message(attributes, key));
    const answer = (await answers.next()).value;
    return answer.type === ALLOCATED ? 'allocated' : answer.error;
  } finally {
    socket.destroy();
  }
}

/** An Allocate request; with a key, it is signed. */
function message(attributes, key) {
  const body = Buffer.concat(attributes.map(([type, value]) => attribute(type, value)));
  const header = Buffer.alloc(20);
  header.writeUInt16BE(ALLOCATE, 0);
  header.writeUInt32BE(COOKIE, 4);
  randomBytes(12).copy(header, 8);
  // The length that is signed counts the signature.
  header.writeUInt16BE(body.length + (key ? 24 : 0), 2);
  const unsigned = Buffer.concat([header, body]);
  if (!key) {
    return unsigned;
  }
  const mac = createHmac('sha1', key).update(unsigned).digest();
  return Buffer.concat([unsigned, attribute(INTEGRITY, mac)]);
}

function attribute(type, value) {
  const bytes = Buffer.from(value);
  const padded = Buffer.alloc(4 + Math.ceil(bytes.length / 4) * 4);
  padded.writeUInt16BE(type, 0);
  padded.writeUInt16BE(bytes.length, 2);
  bytes.copy(padded, 4);
  return padded;
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
  const answer = { type: bytes.readUInt16BE(0) };
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
