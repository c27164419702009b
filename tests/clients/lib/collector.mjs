// A collector of traces: takes OTLP over HTTP and keeps every span it is sent.
//
// It reads as much of the protobuf as tests look at, and keeps the bytes for what they must not hold.
import { createServer } from 'node:http';

import { collector } from './environment.mjs';
import { DEADLINE_MS } from './rest.mjs';

/** Splits a protobuf message into `[field, value]`: bytes, numbers, or eight bytes as a bigint. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const start = at;
    switch (tag & 7) {
      case 0:
        yield [tag >> 3, Number(varint())];
        break;
      case 1:
        at += 8;
        yield [tag >> 3, bytes.readBigUInt64LE(start)];
        break;
      case 2: {
        const length = Number(varint());
        at += length;
        yield [tag >> 3, bytes.subarray(at - length, at)];
        break;
      }
      case 5:
        at += 4;
        yield [tag >> 3, bytes.readUInt32LE(start)];
        break;
      default:
        throw new Error(`no protobuf: wire type ${tag & 7}`);
    }
  }
}

const all = (bytes, wanted) => [...fields(bytes)].filter(([id]) => id === wanted).map(([, v]) => v);
const one = (bytes, wanted) => all(bytes, wanted)[0];
const text = (bytes) => bytes?.toString('utf8') ?? '';
const hex = (bytes) => bytes?.toString('hex') ?? '';

/** Reads `KeyValue`s whose values are texts or numbers. */
function attributes(list) {
  const read = (value) => {
    const [field, content] = [...fields(value)][0];
    return field === 1 ? text(content) : content;
  };
  return Object.fromEntries(list.map((pair) => [text(one(pair, 1)), read(one(pair, 2))]));
}

function spans(request) {
  return all(request, 1).flatMap((resourceSpans) => {
    const resource = attributes(all(one(resourceSpans, 1), 1));
    const read = (span) => ({
      resource,
      trace: hex(one(span, 1)),
      id: hex(one(span, 2)),
      parent: hex(one(span, 4)),
      name: text(one(span, 5)),
      began: one(span, 7),
      ended: one(span, 8),
      attributes: attributes(all(span, 9)),
    });
    return all(resourceSpans, 2).flatMap((scope) => all(scope, 2).map(read));
  });
}

/** Listens where the services send spans, for the length of a test. */
export async function collect(t) {
  const taken = { spans: [], bytes: [] };
  const waiting = new Set();
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    taken.bytes.push(body);
    if (request.url === '/v1/traces') taken.spans.push(...spans(body));
    response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end();
    for (const look of waiting) look();
  });
  const { hostname, port } = new URL(collector);
  await new Promise((resolve) => server.listen(Number(port), hostname, resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Waits until `found` says something else than `undefined` of the spans. */
  const until = (found, what) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const result = found(taken.spans);
        if (result === undefined) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(result);
      };
      const timer = setTimeout(() => {
        waiting.delete(look);
        const names = taken.spans.map(({ name }) => name).join(', ');
        reject(new Error(`${what} did not come; there are: ${names || 'no spans'}`));
      }, DEADLINE_MS);
      waiting.add(look);
      look();
    });
  return { until, spans: () => taken.spans, bytes: () => Buffer.concat(taken.bytes) };
}
