// Every event of care, at three gateways.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { gateway } from '../lib/client.mjs';
import { care } from '../lib/environment.mjs';
import { reconnect } from '../lib/recovery.mjs';
import { connectRoot, newAssociation, newPerson, settled } from '../lib/root.mjs';

async function twoConnected(t) {
  const { doctor: user, patient: other } = await newAssociation();
  const doctor = await connectRoot(t, user, { url: gateway(0) });
  const patient = await connectRoot(t, other, { url: gateway(1) });
  return { doctor, patient };
}

describe('care', () => {
  test('a message reaches all devices of both, once each and in order', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    const tablet = await connectRoot(t, patient.user, { url: gateway(2) });

    for (let i = 0; i < 20; i += 1) {
      patient.emit('send_message', { receiverId: doctor.user.id, content: `message ${i}` });
    }
    const expected = Array.from({ length: 20 }, (_, i) => `message ${i}`);
    for (const client of [doctor, patient, tablet]) {
      const all = await client.collect('new_message', 20);
      assert.deepEqual(
        all.map(({ message }) => message.content),
        expected,
      );
    }
    assert.equal((await patient.collect('message_sent', 20)).length, 20);
    assert.equal(tablet.all('message_sent').length, 0);
    const { message } = doctor.all('new_message')[0];
    const pair = [doctor.user.id, patient.user.id].sort().join('_');
    assert.equal(message.conversationId, pair);
    assert.match(message.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal((await doctor.next('typing_stopped')).userId, patient.user.id);
  });

  test('a repeated send is the same message', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    const message = { receiverId: doctor.user.id, content: 'once', clientMessageId: 'k-1' };

    const [first, second] = [
      await patient.ask('send_message', message),
      await patient.ask('send_message', message),
    ];

    assert.equal(first.event, 'message_sent');
    assert.equal(first.data.message._id, second.data.message._id);
    const changed = await patient.ask('send_message', { ...message, content: 'twice' });
    assert.equal(changed.data.code, 'conflict');
  });

  test('reading tells the sender', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    patient.emit('send_message', { receiverId: doctor.user.id, content: 'Read me' });
    const { message } = await doctor.next('new_message');

    doctor.emit('mark_read', { senderId: patient.user.id });

    const read = await patient.next('messages_read');
    assert.equal(read.userId, doctor.user.id);
    assert.deepEqual(read.messageIds, [message._id]);
  });

  test('delivery is told to the sender', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    patient.emit('send_message', { receiverId: doctor.user.id, content: 'Arrive' });
    const { message } = await patient.next('message_sent');

    const delivered = await patient.next('message_delivered');
    assert.equal(delivered.userId, doctor.user.id);
    assert.equal(delivered.conversationId, message.conversationId);
    assert.ok(delivered.messageIds.includes(message._id));
  });

  test('status is told to those who are associated', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    const of = ({ userId }) => userId === doctor.user.id;

    doctor.emit('set_status', { status: 'busy' });

    const change = await patient.next('user_status_change', (data) => of(data) && data.status === 'busy');
    assert.deepEqual(change, { userId: doctor.user.id, isOnline: true, status: 'busy' });
    doctor.emit('set_status', { status: 'asleep' });
    assert.equal((await doctor.next('error')).code, 'invalid');
    doctor.close();
    const gone = await patient.next('user_status_change', (data) => of(data) && !data.isOnline);
    assert.equal(gone.status, 'offline');
  });

  test('only a doctor and a patient who are associated write to each other', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    const { doctor: stranger } = await newAssociation();
    const second = await newPerson(care, 'patient');
    const errorOf = async (receiverId) => {
      const { event, data } = await patient.ask('send_message', { receiverId, content: 'Hi' });
      assert.equal(event, 'error');
      return data.message;
    };

    assert.equal(await errorOf(stranger.id), 'Doctor and patient are not associated');
    assert.equal(await errorOf(second.id), 'Patients can only chat with doctors and vice versa');
    assert.equal(await errorOf('nobody'), 'One or both users not found');
    assert.equal(await errorOf(''), 'Receiver ID and content are required');
    patient.emit('typing_start', { receiverId: stranger.id });
    await settled(patient);
    assert.equal(patient.all('error').length, 4);
    const long = { receiverId: doctor.user.id, content: 'x'.repeat(1001) };
    assert.equal((await patient.ask('send_message', long)).data.code, 'invalid');
  });

  test('who comes back has what it missed', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    patient.emit('send_message', { receiverId: doctor.user.id, content: 'before' });
    await doctor.next('new_message');
    doctor.socket.io.engine.close();
    await doctor.next('(disconnect)');
    patient.emit('send_message', { receiverId: doctor.user.id, content: 'meanwhile' });
    await patient.collect('message_sent', 2);

    doctor.socket.io.uri = gateway(2);
    doctor.socket.connect();
    await doctor.next('(connect)');

    assert.equal(doctor.socket.recovered, true);
    const { message } = await doctor.next('new_message');
    assert.equal(message.content, 'meanwhile');
    assert.equal(await reconnect(doctor, 0), true);
  });

  test('what was missed can be asked for by the name of the conversation', async (t) => {
    const { doctor, patient } = await twoConnected(t);
    patient.emit('send_message', { receiverId: doctor.user.id, content: 'one' });
    const { message } = await patient.next('message_sent');

    const { event, data } = await doctor.ask('sync', { since: { [message.conversationId]: 0 } });

    assert.equal(event, 'sync_result');
    assert.deepEqual(
      data.conversations[0].messages.map(({ content }) => content),
      ['one'],
    );
  });
});
