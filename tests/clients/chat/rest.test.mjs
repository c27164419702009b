// Every REST endpoint of the consult protocol, section 5.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import axios from 'axios';

import { connectAndJoin, gateway } from '../lib/client.mjs';
import { newConsultation, newConversation, newUser } from '../lib/directory.mjs';
import { api } from '../lib/environment.mjs';
import { as, post, posted, rest } from '../lib/rest.mjs';
import { assertConversation, assertFailed, assertMessage } from '../lib/shapes.mjs';
import { seconds, sign } from '../lib/token.mjs';

/** Sends `n` messages from `sender` by REST and returns them. */
async function say(sender, ids, n) {
  const messages = [];
  for (let i = 1; i <= n; i += 1) {
    messages.push((await posted(sender, ids, `message ${i}`)).message);
  }
  return messages;
}

const contents = ({ data }) => data.messages.map(({ content }) => content);

describe('GET /chat/conversations', { concurrency: 4 }, () => {
  test('lists the conversations of the caller on either side', async () => {
    const { consultant, patient, conversation } = await newConversation();

    const asPatient = await as(patient).get(`/chat/conversations?patientId=${patient.id}`);
    const asConsultant = await as(consultant).get(
      `/chat/conversations?consultantId=${consultant.id}`,
    );

    assert.equal(asPatient.status, 200);
    assert.deepEqual(
      asPatient.data.map(({ id }) => id),
      [conversation.id],
    );
    assertConversation(asPatient.data[0], conversation);
    assert.deepEqual(asConsultant.data, asPatient.data);
  });

  test('is empty for a newcomer', async () => {
    const patient = await newUser('patient');

    const { status, data } = await as(patient).get('/chat/conversations', {
      params: { patientId: patient.id },
    });

    assert.equal(status, 200);
    assert.deepEqual(data, []);
  });

  test('lists the conversation that was last written to first', async () => {
    const first = await newConversation();
    const { patient } = first;
    const second = await newConversation({ patient });
    await say(patient, first.ids, 1);

    const { data } = await as(patient).get(`/chat/conversations?patientId=${patient.id}`);

    assert.deepEqual(
      data.map(({ id }) => id),
      [first.conversationId, second.conversationId],
    );
  });

  test('wants exactly one of the two ids, well formed and the own one', async () => {
    const { consultant, patient } = await newConsultation();
    const get = (params) => as(patient).get('/chat/conversations', { params });

    assertFailed(await get({}), 400);
    assertFailed(await get({ patientId: patient.id, consultantId: consultant.id }), 400);
    assertFailed(await get({ patientId: 'abc-123-def' }), 400);
    assertFailed(await get({ patientId: randomUUID() }), 403);
    assertFailed(await get({ consultantId: consultant.id }), 403);
  });
});

describe('POST /chat/conversations', { concurrency: 4 }, () => {
  test('creates the conversation of a booking once', async () => {
    const { consultant, patient, ids } = await newConsultation();

    const first = await as(patient).post('/chat/conversations', ids);
    const again = await as(consultant).post('/chat/conversations', ids);

    assert.equal(first.status, 201);
    assertConversation(first.data, ids);
    assert.equal(again.status, 201);
    assert.equal(again.data.id, first.data.id);
  });

  test('refuses what is missing, malformed, unknown or of others', async () => {
    const { patient, ids } = await newConsultation();
    const stranger = await newUser('patient');
    const create = (body, user = patient) => as(user).post('/chat/conversations', body);

    for (const field of Object.keys(ids)) {
      assertFailed(await create({ ...ids, [field]: undefined }), 400, 'Validation failed');
      assertFailed(await create({ ...ids, [field]: 'abc-123' }), 400, 'Validation failed');
      assertFailed(await create({ ...ids, [field]: 42 }), 400, 'Validation failed');
    }
    assertFailed(await create({ ...ids, bookingId: randomUUID() }), 404, 'Booking not found');
    assertFailed(await create(ids, stranger), 403);
    assertFailed(await create({ ...ids, patientId: stranger.id }, stranger), [403, 404]);
  });
});

describe('GET /chat/conversations/:id/messages', { concurrency: 4 }, () => {
  test('returns the conversation and its messages, newest first', async () => {
    const { consultant, patient, ids, conversationId } = await newConversation();
    await say(patient, ids, 3);

    const answer = await as(consultant).get(`/chat/conversations/${conversationId}/messages`);

    assert.equal(answer.status, 200);
    assertConversation(answer.data.conversation, ids);
    assert.deepEqual(contents(answer), ['message 3', 'message 2', 'message 1']);
    assertMessage(answer.data.messages[2], {
      conversationId,
      sender: patient,
      content: 'message 1',
    });
  });

  test('is empty before the first message', async () => {
    const { patient, conversationId } = await newConversation();

    const answer = await as(patient).get(`/chat/conversations/${conversationId}/messages`);

    assert.equal(answer.status, 200);
    assert.deepEqual(answer.data.messages, []);
  });

  test('pages by limit and offset, in either order, and by sequence', async () => {
    const { patient, ids, conversationId } = await newConversation();
    await say(patient, ids, 7);
    const page = async (params) =>
      contents(await as(patient).get(`/chat/conversations/${conversationId}/messages`, { params }));

    assert.deepEqual(await page({ limit: 3 }), ['message 7', 'message 6', 'message 5']);
    assert.deepEqual(await page({ limit: 3, offset: 3 }), ['message 4', 'message 3', 'message 2']);
    assert.deepEqual(await page({ limit: 3, offset: 6 }), ['message 1']);
    assert.deepEqual(await page({ limit: 3, offset: 7 }), []);
    assert.deepEqual(await page({ limit: 3, order: 'asc' }), [
      'message 5',
      'message 6',
      'message 7',
    ]);
    assert.deepEqual(await page({ afterSeq: 5 }), ['message 6', 'message 7']);
    assert.deepEqual(await page({ afterSeq: 0, limit: 2 }), ['message 1', 'message 2']);
    assert.deepEqual(await page({ afterSeq: 7 }), []);
    assert.deepEqual(await page({ beforeSeq: 3 }), ['message 2', 'message 1']);
    assert.deepEqual(await page({ beforeSeq: 7, limit: 2 }), ['message 6', 'message 5']);
    assert.deepEqual(await page({ limit: 1, unheard: 'of' }), ['message 7']);
  });

  test('refuses pages that are no pages', async () => {
    const { patient, conversationId } = await newConversation();

    for (const params of [
      { limit: 0 },
      { limit: 201 },
      { limit: -1 },
      { limit: 'abc' },
      { limit: 2.5 },
      { limit: '1e2' },
      { limit: '99999999999999999999' },
      { offset: -1 },
      { offset: 'abc' },
      { offset: '9223372036854775808' },
      { afterSeq: -1 },
      { afterSeq: 'abc' },
      { beforeSeq: 'abc' },
      { order: 'sideways' },
    ]) {
      const url = `/chat/conversations/${conversationId}/messages`;
      assertFailed(await as(patient).get(url, { params }), 400);
    }
  });

  test('knows a malformed id from an unknown one and from that of others', async () => {
    const { patient, conversationId } = await newConversation();
    const stranger = await newUser('consultant');
    const get = (id, user = patient) => as(user).get(`/chat/conversations/${id}/messages`);

    assertFailed(await get('abc-123'), 400);
    assertFailed(await get('%00'), 400);
    assertFailed(await get(randomUUID()), 404, 'Conversation not found');
    assertFailed(await get(conversationId, stranger), 403);
  });
});

describe('POST /chat/messages', { concurrency: 4 }, () => {
  test('stores a message, creates the conversation and tells the sockets of both', async (t) => {
    const { consultant: user, patient, ids, conversationId } = await newConversation();
    const consultant = await connectAndJoin(t, user, conversationId, { url: gateway(0) });
    const otherDevice = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });

    const { status, data } = await post(patient, ids, 'Hello, I need help');

    assert.equal(status, 201);
    assertConversation(data.conversation, ids);
    assertMessage(data.message, { conversationId, sender: patient, content: 'Hello, I need help' });
    assert.deepEqual(await consultant.next('new_message'), data);
    assert.deepEqual(await otherDevice.next('new_message'), data);
  });

  test('creates the conversation of a booking by the first message', async () => {
    const { patient, ids } = await newConsultation();

    const { status, data } = await post(patient, ids, 'Hello');

    assert.equal(status, 201);
    assert.equal(data.message.conversationId, data.conversation.id);
    assert.equal(data.message.seq, 1);
  });

  test('refuses what is missing, malformed, unknown or of others', async () => {
    const { patient, ids } = await newConsultation();
    const stranger = await newUser('patient');
    const complete = { ...ids, content: 'Hello', senderType: 'patient' };
    const create = (body, user = patient) => as(user).post('/chat/messages', body);

    for (const field of Object.keys(complete)) {
      assertFailed(await create({ ...complete, [field]: undefined }), 400, 'Validation failed');
      assertFailed(await create({ ...complete, [field]: 42 }), 400, 'Validation failed');
    }
    for (const content of ['', '   ', 'a\0b', 'x'.repeat(4001)]) {
      assertFailed(await create({ ...complete, content }), 400, 'Validation failed');
    }
    assertFailed(await create({ ...complete, senderType: 'banana' }), 400, 'Validation failed');
    assertFailed(await create({ ...complete, senderType: 'consultant' }), 403);
    assertFailed(await create({ ...complete, bookingId: randomUUID() }), 404, 'Booking not found');
    assertFailed(await create(complete, stranger), 403);
  });

  test('stores the same key once, by header and by body', async (t) => {
    const { consultant: user, patient, ids, conversationId } = await newConversation();
    const consultant = await connectAndJoin(t, user, conversationId);
    const key = randomUUID();
    const keyed = (content) =>
      as(patient).post(
        '/chat/messages',
        { ...ids, content, senderType: 'patient' },
        { headers: { 'Idempotency-Key': key } },
      );

    const first = await keyed('only once');
    const again = await keyed('only once');
    const byBody = await post(patient, ids, 'only once', { clientMessageId: key });
    const other = await keyed('something else');
    await posted(patient, ids, 'the next');

    assert.equal(first.status, 201);
    assert.equal(again.status, 201);
    assert.equal(again.data.message.id, first.data.message.id);
    assert.equal(byBody.data.message.id, first.data.message.id);
    assertFailed(other, 409);
    await consultant.next('new_message', ({ message }) => message.content === 'the next');
    assert.deepEqual(
      consultant.all('new_message').map(({ message }) => message.content),
      ['only once', 'the next'],
    );
  });

  test('keeps any text as it is', async () => {
    const { patient, ids } = await newConversation();

    for (const content of [
      '<script>alert(1)</script>',
      `'; DROP TABLE messages; --`,
      '${jndi:ldap://127.0.0.1/x}',
      'line\r\nline\tend',
      'مرحبا \u202Eשלום 🩺👩🏽‍⚕️',
      'x'.repeat(4000),
      '🩺'.repeat(4000),
    ]) {
      const { message } = await posted(patient, ids, content);
      assert.equal(message.content, content);
    }
  });
});

describe('GET /chat/conversations/:id/unread', { concurrency: 4 }, () => {
  test('counts what the caller has not read', async () => {
    const { consultant, patient, ids, conversationId } = await newConversation();
    const [first] = await say(patient, ids, 3);
    const unread = async (user) => {
      const url = `/chat/conversations/${conversationId}/unread?userId=${user.id}`;
      return as(user).get(url);
    };

    const before = await unread(consultant);
    await as(consultant).post(`/chat/conversations/${conversationId}/read`, {
      messageIds: [first.id],
    });
    const after = await unread(consultant);
    const own = await unread(patient);

    assert.equal(before.status, 200);
    assert.deepEqual(before.data, { conversationId, unreadCount: 3 });
    assert.deepEqual(after.data, { conversationId, unreadCount: 2 });
    assert.deepEqual(own.data, { conversationId, unreadCount: 0 });
  });

  test('wants the own user id and an own conversation', async () => {
    const { consultant, patient, conversationId } = await newConversation();
    const stranger = await newUser('patient');
    const get = (id, userId, user = patient) =>
      as(user).get(`/chat/conversations/${id}/unread`, { params: { userId } });

    assertFailed(await get(conversationId, undefined), 400);
    assertFailed(await get(conversationId, 'user-456'), 400);
    assertFailed(await get(conversationId, consultant.id), 403);
    assertFailed(await get('abc-123', patient.id), 400);
    assertFailed(await get(randomUUID(), patient.id), 404, 'Conversation not found');
    assertFailed(await get(conversationId, stranger.id, stranger), 403);
  });
});

describe('POST /chat/conversations/:id/read', { concurrency: 4 }, () => {
  test('marks the messages of the other side and tells the sockets', async (t) => {
    const { consultant, patient: user, ids, conversationId } = await newConversation();
    const patient = await connectAndJoin(t, user, conversationId);
    const messageIds = (await say(user, ids, 3)).map(({ id }) => id);
    const read = (ids) =>
      as(consultant).post(`/chat/conversations/${conversationId}/read`, { messageIds: ids });

    const first = await read(messageIds.slice(0, 2));
    const again = await read(messageIds);

    assert.equal(first.status, 200);
    assert.deepEqual(first.data, { success: true, updatedCount: 2 });
    assert.deepEqual(again.data, { success: true, updatedCount: 1 });
    const told = await patient.collect('messages_read', 2);
    assert.deepEqual(told.flatMap(({ messageIds }) => messageIds).sort(), messageIds.sort());
    const { data } = await as(user).get(`/chat/conversations/${conversationId}/messages`);
    assert.deepEqual(
      data.messages.map(({ isRead }) => isRead),
      [true, true, true],
    );
  });

  test('counts neither own, unknown, foreign nor repeated ids', async () => {
    const { consultant, patient, ids, conversationId } = await newConversation();
    const elsewhere = await newConversation();
    const [theirs] = await say(patient, ids, 1);
    const [own] = await say(consultant, ids, 1);
    const [foreign] = await say(elsewhere.patient, elsewhere.ids, 1);

    const { data } = await as(consultant).post(`/chat/conversations/${conversationId}/read`, {
      messageIds: [theirs.id, theirs.id, own.id, foreign.id, randomUUID()],
    });

    assert.deepEqual(data, { success: true, updatedCount: 1 });
  });

  test('refuses what is no list of ids, and conversations of others', async () => {
    const { patient, conversationId } = await newConversation();
    const stranger = await newUser('consultant');
    const read = (id, messageIds, user = patient) =>
      as(user).post(`/chat/conversations/${id}/read`, { messageIds });
    const tooMany = Array.from({ length: 501 }, () => randomUUID());

    for (const messageIds of [undefined, null, [], 'x', 42, {}, [42], [null], ['x'], tooMany]) {
      assertFailed(await read(conversationId, messageIds), 400);
    }
    assertFailed(await read('abc-123', [randomUUID()]), 400);
    assertFailed(await read(randomUUID(), [randomUUID()]), 404, 'Conversation not found');
    assertFailed(await read(conversationId, [randomUUID()], stranger), 403);
  });
});

describe('every endpoint', { concurrency: 4 }, () => {
  const ENDPOINTS = [
    ['GET', '/chat/conversations'],
    ['POST', '/chat/conversations'],
    ['GET', `/chat/conversations/${randomUUID()}/messages`],
    ['POST', '/chat/messages'],
    ['GET', `/chat/conversations/${randomUUID()}/unread`],
    ['POST', `/chat/conversations/${randomUUID()}/read`],
  ];

  for (const [method, url] of ENDPOINTS) {
    test(`${method} ${url.replace(/[0-9a-f-]{36}/, ':id')} wants a valid token and a role`, async () => {
      const patient = await newUser('patient');
      const claims = { sub: patient.id, role: 'patient', exp: seconds() + 60 };
      const call = (headers) => rest(headers).request({ method, url });
      const bearer = (token) => call({ Authorization: `Bearer ${token}` });

      assertFailed(await call({}), 401);
      assertFailed(await bearer('garbage'), 401);
      assertFailed(await bearer(sign(claims, { secret: 'x'.repeat(64) })), 401);
      assertFailed(await bearer(sign({ ...claims, exp: seconds() - 120 })), 401);
      assertFailed(await bearer(sign({ ...claims, role: 'agent' })), 403);
      assertFailed(await rest().request({ method, url, params: { token: patient.token } }), 401);
    });
  }

  test('takes the token from the cookie, and then changes things for known origins only', async () => {
    const { patient, ids } = await newConsultation();
    const Cookie = `theme=dark; access_token=${patient.token}`;
    const create = (headers) =>
      rest({ Cookie, 'X-Client-Type': 'web', ...headers }).post('/chat/conversations', ids);

    const list = await rest({ Cookie }).get(`/chat/conversations?patientId=${patient.id}`);
    assert.equal(list.status, 200);
    assertFailed(await create({}), 403);
    assertFailed(await create({ Origin: 'https://evil.example' }), 403);
    assert.equal((await create({ Origin: 'http://localhost:5173' })).status, 201);
    assert.equal((await create({ Referer: 'http://localhost:5173/chat' })).status, 201);
  });

  test('answers what it cannot read with the same error body', async () => {
    const { patient } = await newConsultation();
    const url = `${api}/chat/messages`;
    const authorization = `Bearer ${patient.token}`;
    const json = 'application/json';
    const call = async (method, body, contentType = json, to = url) => {
      const headers = { authorization, 'content-type': contentType };
      const response = await fetch(to, { method, headers, body });
      return { status: response.status, data: await response.json() };
    };

    for (const body of ['', '{', 'null', '42', '"text"', '[]', '{"content":"\\ud800"}', '{} {}']) {
      assertFailed(await call('POST', body), 400);
    }
    assertFailed(await call('POST', '['.repeat(100_000)), 400);
    assertFailed(await call('POST', 'content=Hello', 'application/x-www-form-urlencoded'), 415);
    assertFailed(await call('POST', `{"content":"${'x'.repeat(2_000_000)}"}`), 413);
    assertFailed(await call('DELETE', '{}'), 405);
    assertFailed(await call('GET', undefined, json, `${api}/chat/nothing`), 404);
  });

  test('lets the known origins in, with credentials, and no other', async () => {
    const patient = await newUser('patient');
    const url = `/chat/conversations?patientId=${patient.id}`;
    const from = (Origin) => rest({ Authorization: `Bearer ${patient.token}`, Origin }).get(url);

    for (const origin of [
      'http://localhost:3000',
      'http://localhost:5173',
      'https://jiggy-care.onrender.com',
    ]) {
      const { headers } = await from(origin);
      assert.equal(headers['access-control-allow-origin'], origin);
      assert.equal(headers['access-control-allow-credentials'], 'true');
    }
    const { headers } = await from('https://evil.example');
    assert.equal(headers['access-control-allow-origin'], undefined);
  });

  test('answers a preflight request', async () => {
    const { status, headers } = await axios.options(`${api}/chat/messages`, {
      validateStatus: () => true,
      headers: {
        Origin: 'http://localhost:5173',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type,x-client-type',
      },
    });

    assert.equal(status, 204);
    assert.equal(headers['access-control-allow-origin'], 'http://localhost:5173');
    assert.equal(headers['access-control-allow-credentials'], 'true');
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'POST', 'DELETE']) {
      assert.match(headers['access-control-allow-methods'], new RegExp(`\\b${method}\\b`));
    }
    for (const header of [
      'Content-Type',
      'Authorization',
      'X-Access-Token',
      'X-Refresh-Token',
      'X-Client-Type',
    ]) {
      assert.match(headers['access-control-allow-headers'], new RegExp(`\\b${header}\\b`, 'i'));
    }
  });
});
