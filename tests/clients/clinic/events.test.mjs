// Every event of a clinic, at three gateways.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { gateway } from '../lib/client.mjs';
import { connectRoot, newStaff, settled } from '../lib/root.mjs';

async function twoConnected(t) {
  const { doctor: user, admin: other } = await newStaff();
  const doctor = await connectRoot(t, user, { url: gateway(0) });
  const admin = await connectRoot(t, other, { url: gateway(1) });
  for (const client of [doctor, admin]) {
    client.emit('user_joined', { email: client.user.id });
    const { name } = await client.next('user_online', ({ email }) => email === client.user.id);
    assert.equal(name, client.user.name);
  }
  return { doctor, admin };
}

describe('a clinic', () => {
  test('a message reaches every tab but the one that sent it', async (t) => {
    const { doctor, admin } = await twoConnected(t);
    const tab = await connectRoot(t, admin.user, { url: gateway(1) });

    for (let i = 0; i < 10; i += 1) {
      admin.emit('send_message', { receiver_email: doctor.user.id, content: ` message ${i} ` });
    }
    const expected = Array.from({ length: 10 }, (_, i) => `message ${i}`);
    const confirmed = await admin.collect('message_sent_confirmed', 10);
    for (const client of [doctor, tab]) {
      const all = await client.collect('receive_message', 10);
      assert.deepEqual(all, confirmed);
      assert.deepEqual(
        all.map(({ content }) => content),
        expected,
      );
    }
    await settled(admin);
    assert.equal(admin.all('receive_message').length, 0);
    const [message] = confirmed;
    assert.deepEqual(
      [message.sender_email, message.receiver_email, message.read, message.read_at],
      [admin.user.id, doctor.user.id, false, null],
    );
    const age = new Date(message.expires_at) - new Date(message.timestamp);
    assert.equal(age, 90 * 86_400_000);
  });

  test('typing and reading reach the other', async (t) => {
    const { doctor, admin } = await twoConnected(t);

    doctor.emit('user_typing', { receiver_email: admin.user.id, is_typing: true });
    assert.deepEqual(await admin.next('user_typing'), {
      sender_email: doctor.user.id,
      is_typing: true,
    });
    doctor.emit('user_typing', { receiver_email: admin.user.id, is_typing: false });
    assert.equal((await admin.next('user_typing')).is_typing, false);

    doctor.emit('send_message', { receiver_email: admin.user.id, content: 'Read me' });
    const { id } = await admin.next('receive_message');
    admin.emit('mark_message_read', { message_id: id });
    const receipt = await doctor.next('message_read_receipt');
    assert.equal(receipt.message_id, id);
    assert.match(receipt.read_at, /Z$/);
  });

  test('an acknowledgement has no argument', async (t) => {
    const { doctor, admin } = await twoConnected(t);
    const message = { receiver_email: admin.user.id, content: 'Hello' };

    const args = await new Promise((resolve) => {
      doctor.socket.emit('send_message', message, (...args) => resolve(args));
    });

    assert.deepEqual(args, []);
  });

  test('who went is told after the last tab', async (t) => {
    const { doctor, admin } = await twoConnected(t);
    doctor.emit('send_message', { receiver_email: admin.user.id, content: 'We know each other' });
    await admin.next('receive_message');
    const tab = await connectRoot(t, doctor.user, { url: gateway(2) });

    doctor.close();
    tab.emit('send_message', { receiver_email: admin.user.id, content: 'Still here' });
    await admin.next('receive_message', ({ content }) => content === 'Still here');
    assert.equal(admin.all('user_offline').length, 0);
    tab.close();

    assert.deepEqual(await admin.next('user_offline'), { email: doctor.user.id });
  });

  test('errors are in the words of the protocol', async (t) => {
    const { doctor, admin } = await twoConnected(t);
    const errorOf = async (event, payload) => {
      doctor.emit(event, payload);
      return (await doctor.next('error')).message;
    };
    const to = (receiver_email, content = 'Hi') => ({ receiver_email, content });

    assert.equal(await errorOf('user_joined', {}), 'Email required');
    assert.equal(await errorOf('send_message', to(admin.user.id, '  ')), 'Invalid message data');
    assert.equal(await errorOf('send_message', to('no@body.org')), 'One or both users not found');
    assert.equal(
      await errorOf('send_message', to(doctor.user.id)),
      'Cannot send message to yourself',
    );
    doctor.emit('user_joined', { email: admin.user.id });
    assert.equal((await doctor.next('error')).code, 'unauthorized');
  });

  test('no event has one more argument', async (t) => {
    const { doctor, admin } = await twoConnected(t);
    const received = new Promise((resolve) => {
      admin.socket.on('receive_message', (...args) => resolve(args.length));
    });

    doctor.emit('send_message', { receiver_email: admin.user.id, content: 'Hello' });

    assert.equal(await received, 1);
  });
});
