// Stock clients without a token, at a gateway that lets them say who they are.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, gateway } from '../lib/client.mjs';
import { declaringGateway } from '../lib/declaring.mjs';
import { connectRoot, newStaff, restOf } from '../lib/root.mjs';

/** Connects without a token; the connection ends with the test. */
function knock(t, url, options) {
  const client = new Client(url, { namespace: '/', ...options });
  t.after(() => client.socket.close());
  return client;
}

test('a tab without a token says who it is, and talks to one with a token', async (t) => {
  const { url, log } = await declaringGateway(t);
  assert.match(log(), /WARN.*need no token/);
  const { doctor: user, admin: other } = await newStaff();
  const admin = await connectRoot(t, other, { url: gateway(1) });

  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    const doctor = knock(t, url, { transports });
    await doctor.next('(connect)');
    doctor.emit('send_message', { receiver_email: other.id, content: 'too early' });
    assert.equal((await doctor.next('error')).message, 'User not identified');
    doctor.emit('user_joined', { email: user.id.toUpperCase() });
    await doctor.next('user_online', ({ email }) => email === user.id);
    doctor.emit('send_message', { receiver_email: other.id, content: transports.join() });
    const sent = await doctor.next('message_sent_confirmed');
    assert.equal(sent.sender_email, user.id);
    assert.deepEqual(await admin.next('receive_message'), sent);
    admin.emit('send_message', { receiver_email: user.id, content: 'heard' });
    assert.equal((await doctor.next('receive_message')).content, 'heard');
    doctor.socket.close();
  }
});

test('it is good for nothing else', async (t) => {
  const { url } = await declaringGateway(t);
  const { doctor } = await newStaff();

  const forged = knock(t, url, { token: 'no.good.token' });
  assert.equal((await forged.next('(connect_error)')).data.code, 'token_invalid');
  const elsewhere = knock(t, gateway(0));
  assert.equal((await elsewhere.next('(connect_error)')).data.code, 'token_missing');
  const { status } = await restOf({ token: '' }).get('/api/conversations', {
    params: { user_email: doctor.id },
  });
  assert.equal(status, 401);
});
