// One trace from a client's frame to the writes to other sockets, as a collector gets it.
//
// The system samples nothing by itself; a gateway of the test's own samples everything, and everybody
// follows it. Runs alone: it is the collector.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { connectAndJoin, gateway, POLLING, send, WEBSOCKET } from '../lib/client.mjs';
import { collect } from '../lib/collector.mjs';
import { newConversation } from '../lib/directory.mjs';
import { app, collector, gateways, stores } from '../lib/environment.mjs';
import { ownGateway } from '../lib/own-gateway.mjs';
import { DEADLINE_MS } from '../lib/rest.mjs';

const skip = !collector && 'the system exports no spans; see README.md';

/** Starts a gateway that samples everything. */
const samplingGateway = (t, settings = {}) =>
  ownGateway(
    t,
    `[apps.${app.name}]\ndialect = "consult"\n
     [[apps.${app.name}.keys]]\nalgorithm = "HS256"\nsecret = "${app.secret}"\n`,
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_TRACES_SAMPLER_ARG: '1',
      RUST_LOG: 'info,realtime_gateway=debug',
      LOG_FORMAT: 'json',
      ...settings,
    },
  );

const pid = (span) => span.resource['process.pid'];
const service = (span) => span.resource['service.name'];

/** The way of a message, from the write to another gateway's socket up to the client's frame. */
const WAY = [
  'write socket',
  'deliver message',
  'publish message',
  'process messages.append',
  'request messages.append',
  'receive send',
];

/** Returns a span, the one it is below, and so on. */
function upwards(span, trace) {
  const way = [];
  for (let at = span; at; at = trace.find(({ id }) => id === way.at(-1).parent)) way.push(at);
  return way;
}

/** Waits for the trace of a message; returns its way to the socket, and all of its spans. */
function traced(spans, messageId, socketId) {
  return spans.until((all) => {
    const about = all.find((span) => span.attributes['message.id'] === messageId);
    const trace = all.filter((span) => span.trace === about?.trace);
    const written = trace.find(
      ({ name, attributes }) => name === 'write socket' && attributes['socket.id'] === socketId,
    );
    const way = upwards(written, trace);
    return way.length === WAY.length ? { way, trace } : undefined;
  }, `the trace of ${messageId} to ${socketId}`);
}

for (const via of [WEBSOCKET, POLLING]) {
  test(`a message is one trace to another gateway's socket (${via.name})`, { skip }, async (t) => {
    const spans = await collect(t);
    const own = await samplingGateway(t);
    const { consultant, patient, conversationId } = await newConversation();
    const there = await connectAndJoin(t, consultant, conversationId, { url: gateway(1), via });
    const here = await connectAndJoin(t, patient, conversationId, { url: own.url });
    const canary = `canary-${randomUUID()}`;

    const { message } = await send(here, conversationId, canary);
    await there.next('new_message', (data) => data.message.id === message.id);
    const { way } = await traced(spans, message.id, there.socket.id);
    const [written, delivered, published, processed, request, root] = way;
    const stored = await spans.until(
      (all) => all.find(({ name, parent }) => name === 'append_messages' && parent === processed.id),
      'the transaction',
    );

    assert.deepEqual(
      way.map(({ name }) => name),
      WAY,
    );
    assert.equal(root.parent, '');
    assert.deepEqual([request, root].map(pid), [own.pid, own.pid]);
    assert.deepEqual([written, delivered].map(pid), [gateways[1].pid, gateways[1].pid]);
    for (const span of [written, delivered, request, root]) {
      assert.equal(service(span), 'realtime-gateway');
    }
    assert.ok(stores.some((store) => store.pid === pid(processed)));
    for (const span of [processed, stored, published]) {
      assert.equal(service(span), 'chat-store');
      assert.equal(pid(span), pid(processed));
      assert.equal(span.trace, root.trace);
    }
    assert.equal(written.attributes['network.protocol.name'], via.ends);
    assert.equal(delivered.attributes['conversation.id'], conversationId);
    for (const span of way) {
      assert.ok(span.began <= span.ended, span.name);
      assert.equal(span.attributes['error.type'], undefined, span.name);
    }
    // The sender's own socket is in it, too.
    await spans.until(
      (all) =>
        all.find(
          (span) =>
            span.trace === root.trace && span.attributes['socket.id'] === here.socket.id && span.parent,
        ),
      "the write to the sender's socket",
    );

    const bytes = spans.bytes();
    for (const secret of [canary, consultant.id, patient.id, patient.token, app.secret]) {
      assert.equal(bytes.includes(secret), false, `${secret} was exported`);
    }
    const lines = own.log().split('\n');
    assert.ok(
      lines.some((line) => line.includes(`"trace.id":"${root.trace}"`)),
      'no line of the log carries the trace',
    );
  });
}

test('what nobody sampled is exported by nobody', { skip }, async (t) => {
  const spans = await collect(t);
  const own = await samplingGateway(t);
  const { consultant, patient, conversationId } = await newConversation();
  const there = await connectAndJoin(t, consultant, conversationId, { url: gateway(1) });
  const here = await connectAndJoin(t, patient, conversationId, { url: own.url });

  const unsampled = await send(there, conversationId, 'nobody looks');
  await here.next('new_message', (data) => data.message.id === unsampled.message.id);
  const forced = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const store = stores.at(-1);
  const path = `/api/v1/chat/conversations/${conversationId}/messages`;
  const answer = await fetch(`${store.url}${path}`, {
    headers: { Authorization: `Bearer ${patient.token}`, traceparent: forced },
  });
  assert.equal(answer.status, 200);
  // Whatever that store had exported before comes before this.
  for (let last; last !== store.pid; ) {
    const { message } = await send(here, conversationId, 'this one');
    const { way } = await traced(spans, message.id, there.socket.id);
    last = pid(way.find(({ name }) => name === 'process messages.append'));
  }

  const about = ({ attributes }) => attributes['message.id'] === unsampled.message.id;
  assert.equal(spans.spans().some(about), false);
  // Clients cannot have their requests exported.
  assert.equal(spans.spans().some(({ trace }) => forced.includes(trace)), false);
});

test('a collector that is away holds nobody up', { skip }, async (t) => {
  const own = await samplingGateway(t, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
  const { patient, conversationId } = await newConversation();
  const here = await connectAndJoin(t, patient, conversationId, { url: own.url });

  const { message } = await send(here, conversationId, 'nobody hears');

  assert.equal(message.seq, 1);
  for (const start = Date.now(); !own.log().includes('spans are not exported'); ) {
    assert.ok(Date.now() - start < DEADLINE_MS, `nothing says so:\n${own.log()}`);
    await new Promise(setImmediate);
  }
});
