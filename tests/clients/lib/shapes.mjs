// The bodies of the protocol: its models, and the one form of every error.
import assert from 'node:assert/strict';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** Asserts that `actual` has these keys with these values; the protocol's shapes are minima. */
export function assertHas(actual, expected) {
  const keys = Object.keys(expected);
  const common = Object.fromEntries(keys.map((key) => [key, actual?.[key]]));
  assert.deepEqual(common, expected);
}

/** Asserts the protocol's conversation model for these people and this booking. */
export function assertConversation(conversation, { consultantId, patientId, bookingId }) {
  assert.match(conversation.id, UUID);
  assert.equal(conversation.consultantId, consultantId);
  assert.equal(conversation.patientId, patientId);
  assert.equal(conversation.bookingId, bookingId);
  assert.match(conversation.createdAt, TIMESTAMP);
  assert.match(conversation.updatedAt, TIMESTAMP);
}

/** Asserts the protocol's message model; `isRead` is false unless said otherwise. */
export function assertMessage(message, { conversationId, sender, content, isRead = false }) {
  assert.match(message.id, UUID);
  assert.equal(message.conversationId, conversationId);
  assert.equal(message.senderId, sender.id);
  assert.equal(message.senderType, sender.role);
  assert.equal(message.content, content);
  assert.equal(message.isRead, isRead);
  assert.match(message.createdAt, TIMESTAMP);
  assert.match(message.updatedAt, TIMESTAMP);
  assert.ok(Number.isSafeInteger(message.seq) && 1 <= message.seq, `seq ${message.seq}`);
}

/** Asserts that a failed event was answered as `error` and by its acknowledgement alike. */
export async function assertRejected(client, answer, { event, code, message }) {
  assert.equal(answer.event, 'error');
  const body = answer.data;
  if (code !== undefined) {
    assert.ok([code].flat().includes(body.code), `code ${body.code}: ${body.message}`);
  }
  assert.equal(typeof body.message, 'string');
  if (message !== undefined) {
    assert.equal(body.message, message);
  }
  const told = await client.next('error', (data) => data.event === event);
  assert.deepEqual(told, body);
}

const TITLES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
};

/** Asserts that a REST answer is exactly the protocol's error body. */
export function assertFailed({ status, data }, allowed, message) {
  const statusCode = [allowed].flat().find((code) => code === status);
  assert.ok(statusCode, `expected ${allowed}, got ${status}: ${JSON.stringify(data)}`);
  const { details, ...body } = data;
  assert.ok(details === undefined || Array.isArray(details));
  assert.equal(typeof body.message, 'string');
  assert.notEqual(body.message, '');
  assert.deepEqual(body, {
    statusCode,
    message: message ?? body.message,
    error: TITLES[statusCode],
  });
}
