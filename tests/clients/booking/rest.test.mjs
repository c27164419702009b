// The REST of the booking dialect beside its sockets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { booking as app } from '../lib/environment.mjs';
import { connectRoot, newBooking, newPerson, restOf } from '../lib/root.mjs';

describe('REST of bookings', { concurrency: 4 }, () => {
  test('a message that is posted reaches the room, and its read is told there', async (t) => {
    const { owner, client, bookingId } = await newBooking();
    const sockets = [await connectRoot(t, owner), await connectRoot(t, client)];
    for (const socket of sockets) {
      await socket.ask('joinBooking', bookingId);
    }

    const { status, data } = await restOf(client).post('/api/messages', {
      bookingId,
      content: 'Hi',
      senderType: 'client',
    });
    assert.equal(status, 201);
    for (const socket of sockets) {
      const message = await socket.next('newMessage');
      assert.deepEqual([message._id, message.sender.name], [data._id, client.name]);
    }
    const read = await restOf(owner).post('/api/messages/mark-read', { messageIds: [data._id] });

    assert.deepEqual(read.data, {
      msg: 'Messages marked as read',
      count: 1,
      messageIds: [data._id],
    });
    for (const socket of sockets) {
      const { messageIds } = await socket.next('messagesMarkedAsRead');
      assert.deepEqual(messageIds, [data._id]);
    }
  });

  test('each side lists its own', async () => {
    const { owner, client, businessId, bookingId } = await newBooking();
    await restOf(client).post('/api/messages', { bookingId, content: 'Hi' });

    const own = await restOf(client).get('/api/messages/my-conversations');
    const business = await restOf(owner).get(
      `/api/messages/business/${businessId}/conversations`,
    );
    const history = await restOf(owner).get(`/api/messages/booking/${bookingId}`);
    const stranger = await restOf(await newPerson(app, 'client')).get(
      `/api/messages/booking/${bookingId}`,
    );

    assert.deepEqual([own.data[0].booking._id, own.data[0].unreadCount], [bookingId, 0]);
    assert.deepEqual([business.data[0].booking._id, business.data[0].unreadCount], [bookingId, 1]);
    assert.equal(history.data[0].content, 'Hi');
    assert.deepEqual([stranger.status, stranger.data], [403, { msg: 'Unauthorized' }]);
  });
});
