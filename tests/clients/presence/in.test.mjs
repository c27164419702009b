// What other services write into the stream, as clients see it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { connect, gateway } from '../lib/client.mjs';
import { newUser } from '../lib/directory.mjs';
import { writer } from '../lib/in.mjs';
import { DEADLINE_MS, as } from '../lib/rest.mjs';

test('a booking that another service publishes becomes a conversation', async (t) => {
  const write = await writer(t);
  const consultant = await newUser('consultant');
  const patient = await newUser('patient');
  const ids = { consultantId: consultant.id, patientId: patient.id, bookingId: randomUUID() };

  await write('booking', { ...ids, id: ids.bookingId, version: 1 });
  const until = Date.now() + DEADLINE_MS;
  let opened;
  do {
    opened = await as(patient).post('/chat/conversations', ids);
  } while (opened.status === 404 && Date.now() < until);

  assert.equal(opened.status, 201);
});

test('another service speaks to all sockets of a user, and to nobody else', async (t) => {
  const write = await writer(t);
  const patient = await newUser('patient');
  const notified = ['booking:moved'];
  const phone = await connect(t, patient, { url: gateway(0), notified });
  const laptop = await connect(t, patient, { url: gateway(1), notified });
  const stranger = await connect(t, await newUser('patient'), { url: gateway(0) });
  await write('notify', { userId: patient.id, event: 'new_message', data: { message: {} } });
  await write('notify', { userId: patient.id, event: 'booking:moved', data: { to: 'Monday' } });

  for (const device of [phone, laptop]) {
    assert.deepEqual(await device.next('booking:moved'), { to: 'Monday' });
    // It was written before, and is a name of the dialect.
    assert.deepEqual(device.all('new_message'), []);
  }
  assert.deepEqual(stranger.all('booking:moved'), []);
});
