// The REST of the clinic dialect beside its sockets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { connectRoot, newStaff, restOf } from '../lib/root.mjs';

describe('REST of clinics', { concurrency: 4 }, () => {
  test('a message that is posted reaches sockets, and its read is told', async (t) => {
    const { doctor, admin } = await newStaff();
    const [atDoctor, atAdmin] = [await connectRoot(t, doctor), await connectRoot(t, admin)];

    const { status, data } = await restOf(doctor).post('/api/messages', {
      sender_email: doctor.email,
      receiver_email: admin.email,
      content: 'Hello admin!',
    });
    const message = await atAdmin.next('receive_message');
    const read = await restOf(admin).post(`/api/messages/${data.id}/read`);

    assert.equal(status, 200);
    assert.deepEqual([message.id, message.content], [data.id, 'Hello admin!']);
    assert.ok(Date.parse(data.expires_at) - Date.parse(data.timestamp) === 90 * 86_400_000);
    const receipt = await atDoctor.next('message_read_receipt');
    assert.deepEqual([receipt.message_id, receipt.read_at], [data.id, read.data.read_at]);
  });

  test('lists, counts and pages agree', async () => {
    const { doctor, admin } = await newStaff();
    for (const content of ['1', '2', '3']) {
      await restOf(doctor).post('/api/messages', { receiver_email: admin.email, content });
    }

    const list = await restOf(admin).get(`/api/conversations?user_email=${admin.email}`);
    const unread = await restOf(admin).get(
      `/api/messages/unread-count?user_email=${admin.email}`,
    );
    const page = await restOf(admin).get(
      `/api/conversations/${list.data[0].id}/messages?limit=2&skip=1`,
    );
    const missing = await restOf(admin).get('/api/conversations');

    assert.equal(list.data[0].type, 'admin-doctor');
    assert.deepEqual(list.data[0].participants, [doctor.email, admin.email].sort());
    assert.equal(unread.data.unread_count, 3);
    assert.deepEqual(
      page.data.map(({ content }) => content),
      ['1', '2'],
    );
    assert.equal(missing.status, 422);
  });
});
