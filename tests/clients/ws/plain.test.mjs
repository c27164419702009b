// Clients without Socket.IO, of every dialect.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connectAndJoin, gateway } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { Plain, connectPlain } from '../lib/plain.mjs';
import { connectRoot, newAssociation, newBooking, newStaff } from '../lib/root.mjs';

describe('the plain WebSocket', () => {
  test('speaks consult', async (t) => {
    const { consultant: user, patient, conversationId } = await newConversation();
    const consultant = await connectAndJoin(t, user, conversationId, { url: gateway(1) });
    const plain = await connectPlain(t, patient);
    assert.equal(plain.ready.userId, patient.id);
    assert.equal(plain.ready.app, 'consult');
    const join = { conversationId, userId: patient.id, userType: 'patient' };

    const joined = await plain.ask('join_conversation', join);
    assert.deepEqual(joined, { id: 1, event: 'joined_conversation', data: { conversationId } });
    const message = { conversationId, content: 'Hello', senderType: 'patient' };
    const sent = await plain.ask('send_message', message);
    assert.equal(sent.event, 'message_sent');
    assert.deepEqual(await plain.next('new_message'), sent.data);
    assert.equal((await consultant.next('new_message')).message.content, 'Hello');
    consultant.emit('typing_start', { conversationId, userId: user.id, userType: 'consultant' });
    assert.equal((await plain.next('user_typing')).userId, user.id);
    plain.emit('send_message', { ...message, content: 'Bye' });
    assert.equal((await plain.next('message_sent')).message.content, 'Bye');
  });

  test('speaks care', async (t) => {
    const { doctor: user, patient: other } = await newAssociation();
    const patient = await connectRoot(t, other);
    const doctor = await connectPlain(t, user);

    const message = { receiverId: other.id, content: 'Good morning' };
    const sent = await doctor.ask('send_message', message);

    assert.equal(sent.data.message.content, 'Good morning');
    assert.equal((await patient.next('new_message')).message.content, 'Good morning');
  });

  test('speaks clinic, whose answers have content here', async (t) => {
    const { doctor: user, admin: other } = await newStaff();
    const admin = await connectRoot(t, other);
    const doctor = await connectPlain(t, user);

    const message = { receiver_email: other.id, content: 'Hi' };
    const sent = await doctor.ask('send_message', message);

    assert.equal(sent.event, 'message_sent_confirmed');
    assert.deepEqual(await admin.next('receive_message'), sent.data);
    assert.deepEqual(
      doctor.rest.filter(({ event }) => event === 'receive_message'),
      [],
    );
  });

  test('speaks booking', async (t) => {
    const { client: user, owner: other, bookingId } = await newBooking();
    const owner = await connectPlain(t, other);
    const client = await connectPlain(t, user, gateway(2));

    await owner.ask('joinBooking', bookingId);
    const sent = await client.ask('sendMessage', { bookingId, content: 'Hi' });
    assert.equal(sent.event, 'sendMessage');
    assert.equal((await owner.next('newMessage')).content, 'Hi');
    const failed = await client.ask('joinBooking', 'no-such-booking');
    assert.deepEqual([failed.event, failed.data.message], ['error', 'Booking not found']);
  });

  test('waits for a token, and takes no bad one', async (t) => {
    const { patient } = await newAssociation();
    const plain = new Plain();
    t.after(() => plain.socket.close());
    await plain.opened;

    plain.emit('send_message', { receiverId: 'x', content: 'too early' });
    assert.equal((await plain.next('error')).code, 'unauthorized');
    plain.emit('auth', { token: 'no token' });
    const refused = await plain.next('error');
    assert.equal(refused.message, 'Invalid token');
    assert.equal(refused.data.code, 'token_invalid');
    plain.emit('auth', { token: patient.token });
    assert.equal((await plain.next('ready')).userId, patient.id);
  });

  test('takes the token of the request', async (t) => {
    const { patient } = await newAssociation();
    const plain = new Plain(undefined, { headers: { cookie: `access_token=${patient.token}` } });
    t.after(() => plain.socket.close());

    assert.equal((await plain.next('ready')).userId, patient.id);
  });

  test('survives what is no message, and ends when it does not stop', async (t) => {
    const { patient } = await newAssociation();
    const plain = await connectPlain(t, patient);
    const bad = ['', '{}', '[]', 'null', '42["x",{}]', '{"event":{}}', '{"event":"x","id":-1}'];
    for (const text of bad) {
      plain.socket.send(text);
      assert.equal((await plain.next('error')).code, 'invalid');
    }
    assert.equal((await plain.ask('no_such_event', null)).data.code, 'invalid');
    assert.equal((await plain.ask('send_message', 'text')).data.code, 'invalid');

    for (let i = 0; i < 20; i += 1) {
      plain.socket.send('{');
    }
    await plain.next('(close)');
  });
});
