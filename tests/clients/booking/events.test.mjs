// Every event of booking, at three gateways.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { gateway } from '../lib/client.mjs';
import { connectRoot, newBooking } from '../lib/root.mjs';

async function joined(t, user, bookingId, i) {
  const client = await connectRoot(t, user, { url: gateway(i) });
  const ack = await client.ask('joinBooking', bookingId);
  assert.deepEqual(ack, { ok: true, bookingId });
  assert.deepEqual(await client.next('joinedBooking'), { ok: true, bookingId });
  return client;
}

describe('booking', () => {
  test('a socket hears of the bookings alone that it joined', async (t) => {
    const first = await newBooking();
    const { owner, client: user } = first;
    const second = await newBooking(first);
    const watching = await joined(t, owner, first.bookingId, 0);
    const both = await joined(t, owner, first.bookingId, 2);
    await both.ask('joinBooking', second.bookingId);
    const client = await connectRoot(t, user, { url: gateway(1) });

    for (const { bookingId } of [second, first, second, first]) {
      const content = `about ${bookingId}`;
      const ack = await client.ask('sendMessage', { bookingId, content, senderType: 'client' });
      assert.equal(ack.ok, true);
      assert.equal(ack.message.booking, bookingId);
    }

    const about = (messages) => messages.map(({ booking }) => booking);
    const heard = await both.collect('newMessage', 4);
    assert.equal(about(heard).filter((id) => id === second.bookingId).length, 2);
    assert.deepEqual(about(await watching.collect('newMessage', 2)), [
      first.bookingId,
      first.bookingId,
    ]);
    assert.equal(client.all('newMessage').length, 0);
  });

  test('reading is told to everybody in the room', async (t) => {
    const { owner: user, client: other, bookingId } = await newBooking();
    const owner = await joined(t, user, bookingId, 0);
    const tablet = await joined(t, user, bookingId, 1);
    const client = await joined(t, other, bookingId, 2);
    client.emit('sendMessage', { bookingId, content: 'Read me', senderType: 'client' });
    const { _id } = await owner.next('newMessage');

    const ack = await owner.ask('markAsRead', { messageIds: [_id, 'no-such-id'] });

    assert.deepEqual(ack, { ok: true, messageIds: [_id] });
    for (const socket of [owner, tablet, client]) {
      assert.deepEqual((await socket.next('messagesMarkedAsRead')).messageIds, [_id]);
    }
  });

  test('others are kept out', async (t) => {
    const { bookingId } = await newBooking();
    const { owner: stranger } = await newBooking();
    const client = await connectRoot(t, stranger);
    const refused = async (event, payload, text) => {
      const ack = await client.ask(event, payload);
      assert.deepEqual([ack.ok, ack.message], [false, text]);
      assert.equal((await client.next('error')).message, text);
      assert.equal((await client.next('socketError')).message, text);
    };
    const message = { bookingId, content: 'Hi', senderType: 'business' };

    await refused('joinBooking', bookingId, 'Unauthorized');
    await refused('joinBooking', 'no-such-booking', 'Booking not found');
    await refused('sendMessage', message, 'Unauthorized');
    await refused('sendMessage', { ...message, bookingId: 'none' }, 'Booking not found');
    await refused('sendMessage', { bookingId }, 'bookingId and content are required');
    await refused(
      'sendMessage',
      { ...message, senderType: 'client' },
      'senderType does not match the authenticated user',
    );
  });

  test('who comes back has what it missed where it joined', async (t) => {
    const { owner: user, client: other, bookingId } = await newBooking();
    const elsewhere = await newBooking({ owner: user, client: other });
    const owner = await joined(t, user, bookingId, 0);
    const client = await joined(t, other, bookingId, 1);
    owner.socket.io.engine.close();
    await owner.next('(disconnect)');
    for (const id of [elsewhere.bookingId, bookingId]) {
      await client.ask('sendMessage', { bookingId: id, content: 'Hi', senderType: 'client' });
    }

    owner.socket.io.uri = gateway(2);
    owner.socket.connect();
    await owner.next('(connect)');

    assert.equal(owner.socket.recovered, true);
    assert.equal((await owner.next('newMessage')).booking, bookingId);
    await client.ask('sendMessage', { bookingId, content: 'last', senderType: 'client' });
    await owner.next('newMessage', ({ content }) => content === 'last');
    assert.equal(owner.all('newMessage').length, 2);
  });
});
