// Input of every wrong kind gets its `error`, and the same socket goes on; only a frame beyond the
// limit costs the socket that sent it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, gateway, join, send, TRANSPORTS } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { history } from '../lib/rest.mjs';
import { assertRejected } from '../lib/shapes.mjs';

/** Asserts that `client` is still the connection it was, and still of use. */
async function assertUsable(client, id, conversationId) {
  assert.equal(client.socket.id, id);
  await join(client, conversationId);
  await send(client, conversationId, 'still here');
}

describe('a payload', { concurrency: 4 }, () => {
  const EVENTS = [
    'join_conversation',
    'leave_conversation',
    'send_message',
    'typing_start',
    'typing_stop',
    'mark_read',
    'sync',
    'auth:refresh',
  ];
  const PAYLOADS = [
    ['is missing', []],
    ['is null', [null]],
    ['is a number', [42]],
    ['is a boolean', [true]],
    ['is text', ['text']],
    ['is an empty list', [[]]],
    ['is a list', [[{ conversationId: randomUUID() }]]],
    ['is empty', [{}]],
    ['is binary', [Buffer.from('binary')]],
    ['is wrapped too often', [{ data: { data: { conversationId: randomUUID() } } }]],
    ...[null, 42, true, '', 'x', [], {}, [randomUUID()], 'a\0b', '\ud800', 'x'.repeat(100_000)].map(
      (conversationId) => [
        `has a conversationId like ${JSON.stringify(conversationId).slice(0, 20)}`,
        [{ conversationId }],
      ],
    ),
  ];

  for (const event of EVENTS) {
    test(`of ${event} that makes no sense is answered by an error`, async (t) => {
      const { patient, conversationId } = await newConversation();
      const client = await connect(t, patient, { url: gateway(0) });
      const { id } = client.socket;

      for (const [what, payload] of PAYLOADS) {
        const answer = await client.ask(event, ...payload);
        assert.equal(answer.event, 'error', what);
        await assertRejected(client, answer, { event, code: 'invalid' });
      }

      await assertUsable(client, id, conversationId);
    });
  }

  const WRONG = {
    join_conversation: [
      { userId: 42 },
      { userId: {} },
      { userType: 42 },
      { userType: ['patient'] },
      { userId: '\ud800' },
    ],
    send_message: [
      { content: undefined },
      { content: null },
      { content: 42 },
      { content: {} },
      { content: ['Hello'] },
      { content: '' },
      { content: ' \n\t ' },
      { content: 'a\0b' },
      { content: '\ud800' },
      { content: 'x'.repeat(4001) },
      { content: 'x'.repeat(100_000) },
      { senderType: 42 },
      { clientMessageId: 42 },
      { clientMessageId: 'x'.repeat(65) },
      { messageType: 'banana' },
      { messageType: 'system' },
      { messageType: 42 },
      { messageType: 'file' },
      { messageType: 'image', content: '' },
      { fileUrl: 'javascript:alert(1)', messageType: 'file' },
      { fileUrl: 42, messageType: 'file' },
      { fileUrl: `https://example.org/${'x'.repeat(5_000)}`, messageType: 'file' },
    ],
    mark_read: [
      { messageIds: null },
      { messageIds: 'x' },
      { messageIds: {} },
      { messageIds: [] },
      { messageIds: [42] },
      { messageIds: [null] },
      { messageIds: Array.from({ length: 501 }, () => randomUUID()) },
    ],
    sync: [
      { since: null },
      { since: [] },
      { since: 'x' },
      { since: { x: 1 } },
      { since: { [randomUUID()]: -1 } },
      { since: { [randomUUID()]: 1.5 } },
      { since: { [randomUUID()]: '1' } },
      { since: Object.fromEntries(Array.from({ length: 101 }, () => [randomUUID(), 0])) },
    ],
    'auth:refresh': [{ token: null }, { token: 42 }, { token: {} }, { token: '' }],
  };

  for (const [event, wrong] of Object.entries(WRONG)) {
    test(`of ${event} with a wrong field is answered by an error`, async (t) => {
      const { patient, conversationId } = await newConversation();
      const client = await connect(t, patient, { url: gateway(1) });
      const { id } = client.socket;
      const right = {
        conversationId,
        userId: patient.id,
        userType: 'patient',
        senderType: 'patient',
        content: 'Hello',
        messageIds: [randomUUID()],
      };

      for (const fields of wrong) {
        const answer = await client.ask(event, { ...right, ...fields });
        assert.equal(answer.event, 'error', JSON.stringify(fields).slice(0, 80));
        await assertRejected(client, answer, { event, code: ['invalid', 'too_large'] });
      }

      await assertUsable(client, id, conversationId);
      assert.deepEqual(
        (await history(patient, conversationId)).map(({ content }) => content),
        ['still here'],
      );
    });
  }

  for (const [what, payload] of [
    ['lone surrogates', '{"conversationId":"\\ud800","content":"\\udc00"}'],
    ['a nesting of 100', '['.repeat(100) + ']'.repeat(100)],
    ['a nesting of 100 000', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['objects in objects', '{"data":'.repeat(50_000) + '{}' + '}'.repeat(50_000)],
    ['a number out of range', '{"conversationId":1e400}'],
    ['the same key twice', '{"conversationId":"a","conversationId":"b"}'],
    ['a prototype', '{"__proto__":{"conversationId":"a"},"constructor":1}'],
    ['900 KB of text', `{"conversationId":"${'x'.repeat(900_000)}"}`],
  ]) {
    test(`of ${what} is answered by an error`, async (t) => {
      const { patient, conversationId } = await newConversation();
      const client = await connect(t, patient, { url: gateway(0) });
      const { id } = client.socket;

      client.raw(`2/chat,["send_message",${payload}]`);

      const error = await client.next('error');
      assert.equal(error.event, 'send_message');
      assert.ok(['invalid', 'too_large'].includes(error.code), error.code);
      await assertUsable(client, id, conversationId);
    });
  }

  test('may be followed by more arguments', async (t) => {
    const { patient, conversationId } = await newConversation();
    const client = await connect(t, patient);

    const payload = { conversationId, userId: patient.id, userType: 'patient' };
    const answer = await client.ask('join_conversation', payload, 'more', [1, 2]);

    assert.equal(answer.event, 'joined_conversation');
  });
});

describe('an unknown event', { concurrency: 4 }, () => {
  const NAMES = ['unheard_of', '', '__proto__', 'constructor', 'error', 'new_message', 'é🩺', ' '];

  test('is ignored, unless an acknowledgement is asked for', async (t) => {
    const { patient, conversationId } = await newConversation();
    const client = await connect(t, patient);
    const { id } = client.socket;

    for (const name of [...NAMES, 'x'.repeat(1_000)]) {
      client.emit(name, { conversationId });
      client.emit(name, Buffer.from('binary'), { nested: [Buffer.alloc(10)] });
      const answer = await client.ask(name, { conversationId });
      assert.equal(answer.event, 'error', name);
      assert.equal(answer.data.code, 'invalid');
    }

    assert.deepEqual(client.all('error'), []);
    assert.deepEqual(client.all('new_message'), []);
    await assertUsable(client, id, conversationId);
  });
});

describe('a frame of 1.5 MB', { concurrency: 4 }, () => {
  for (const via of TRANSPORTS) {
    test(`closes its own socket alone, ${via.name}`, async (t) => {
      const { consultant: user, patient, conversationId } = await newConversation();
      const at = { url: gateway(0) };
      const consultant = await connectAndJoin(t, user, conversationId, at);
      const otherDevice = await connectAndJoin(t, patient, conversationId, at);
      const offender = await connectAndJoin(t, patient, conversationId, {
        ...at,
        via,
        reconnection: true,
        reconnectionDelay: 10,
      });
      const { id } = offender.socket;

      offender.emit('send_message', {
        conversationId,
        content: 'x'.repeat(1_500_000),
        senderType: 'patient',
      });

      await offender.next('(disconnect)');
      await send(otherDevice, conversationId, 'still here');
      await consultant.next('new_message');
      await send(consultant, conversationId, 'so am I');
      await otherDevice.next('new_message', ({ message }) => message.content === 'so am I');

      // The stock client comes back by itself.
      await offender.next('(connect)');
      assert.equal(offender.socket.recovered, true);
      assert.equal(offender.socket.id, id);
      await send(offender, conversationId, 'back again');
      assert.equal((await history(user, conversationId)).length, 3);
    });
  }
});
