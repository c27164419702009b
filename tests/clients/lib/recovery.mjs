// Stock clients that lose their connection and come back, to the same gateway or to another one.
//
// The library's own reconnection is switched off, so that a test says when and where: what it does
// on the wire is the same.
import assert from 'node:assert/strict';

import { gateway } from './client.mjs';

/** Cuts the connection below the client, as a lost network does. */
export async function drop(client) {
  client.socket.io.engine.close();
  await client.next('(disconnect)');
}

/** Connects a dropped client to gateway `i` again, and waits for the answer. */
export async function comeBack(client, i) {
  client.socket.io.uri = gateway(i);
  client.socket.connect();
  await client.next('(connect)');
}

/** Drops the client and connects it to gateway `i`; returns whether it was recovered. */
export async function reconnect(client, i) {
  await drop(client);
  await comeBack(client, i);
  return client.socket.recovered;
}

/** The sequence numbers of the messages that a client was told of, in order. */
export const seqs = (client, conversationId) =>
  client
    .all('new_message')
    .map(({ message }) => message)
    .filter((message) => message.conversationId === conversationId)
    .map(({ seq }) => seq);

/** Waits until a client has a conversation up to `last`, and asserts that it has each message once. */
export async function assertCaughtUp(client, conversationId, last, first = 1) {
  const isThere = () => (seqs(client, conversationId).includes(last) ? true : undefined);
  await client.until(isThere, `message ${last}`);
  const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  assert.deepEqual(seqs(client, conversationId), all);
}
