// What other services write: the stream CHAT_IN.
import { jetstream } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';

import { app, nats } from './environment.mjs';

/** Returns a function that writes an entry of a kind; its connection ends with the test. */
export async function writer(t) {
  const connection = await connect({ servers: nats.url });
  t.after(() => connection.close());
  const stream = jetstream(connection);
  return async (kind, entry) => {
    const map = headers();
    map.set('Content-Type', 'application/json');
    const subject = `chat.v1.in.${app.name}.${kind}`;
    await stream.publish(subject, JSON.stringify(entry), { headers: map });
  };
}
