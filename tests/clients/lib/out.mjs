// What other services are told: the stream CHAT_OUT, read from a moment on.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

import { app, nats } from './environment.mjs';
import { DEADLINE_MS } from './rest.mjs';

const STREAM = 'CHAT_OUT';

/** Listens to the events of the app that come from now on; ends with the test. */
export async function listenToOut(t) {
  const connection = await connect({ servers: nats.url });
  t.after(() => connection.close());
  const manager = await jetstreamManager(connection);
  const { config } = await manager.consumers.add(STREAM, {
    name: `test-${crypto.randomUUID()}`,
    filter_subject: `chat.v1.out.${app.name}.>`,
    deliver_policy: 'new',
    ack_policy: 'none',
    inactive_threshold: 60e9,
  });
  const consumer = await jetstream(connection).consumers.get(STREAM, config.name);
  const heard = [];

  /** Returns the first event that `wanted` accepts, of those that came and will come. */
  const next = async (wanted) => {
    const found = heard.find(wanted);
    if (found) return found;
    const until = Date.now() + DEADLINE_MS;
    while (Date.now() < until) {
      const message = await consumer.next({ expires: 1_000 });
      if (!message) continue;
      const event = { subject: message.subject, ...message.json() };
      heard.push(event);
      if (wanted(event)) return event;
    }
    throw new Error(`the event did not come; what came: ${heard.map(({ event }) => event)}`);
  };
  return { heard, next };
}
