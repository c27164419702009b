// The booking protocol's own examples, driven as an app would drive them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { clientWith, componentWith } from '../example/booking-client.mjs';
import { publicUrl } from '../lib/environment.mjs';
import { mount, waiting } from '../lib/examples.mjs';
import { connectRoot, newBooking } from '../lib/root.mjs';

process.env.CHAT_URL = publicUrl;

const storageOf = ({ token }) => ({ getItem: (key) => (key === 'token' ? token : null) });

async function connectedOwner(t, { owner, bookingId }) {
  const client = await connectRoot(t, owner);
  client.emit('joinBooking', bookingId);
  await client.next('joinedBooking');
  return client;
}

describe('the examples of booking', () => {
  test('let a client and a business write from a page', async (t) => {
    const booking = await newBooking();
    const { client, bookingId } = booking;
    const owner = await connectedOwner(t, booking);
    const { changed, until } = waiting();
    const [shown, alerts] = [[], []];
    t.mock.method(console, 'log', () => changed());
    t.mock.method(console, 'error', () => changed());
    const { socket, sendMessage } = clientWith({
      localStorage: storageOf(client),
      displayMessage: (message) => {
        shown.push(message);
        changed();
      },
      currentUserId: client.id,
      alert: (text) => {
        alerts.push(text);
        changed();
      },
      bookingId,
    });
    t.after(() => socket.close());

    sendMessage(bookingId, 'Hi, I would like to confirm my appointment time.', 'client');
    const message = await owner.next('newMessage');
    assert.equal(message.booking, bookingId);
    assert.deepEqual(message.sender, { _id: client.id, name: client.name, email: client.email });
    owner.emit('sendMessage', { bookingId, content: 'Confirmed', senderType: 'business' });
    const reply = await until('the reply', () =>
      shown.find(({ content }) => content === 'Confirmed'),
    );
    assert.equal(reply.senderType, 'business');
    const { messageIds } = await owner.next('messagesMarkedAsRead');
    assert.deepEqual(messageIds, [reply._id]);
    sendMessage('no-such-booking', 'Hello?', 'client');
    await until('the error', () => alerts.find((text) => text === 'Booking not found'));
  });

  test('show a booking in a component', async (t) => {
    const booking = await newBooking();
    const { client, bookingId } = booking;
    const owner = await connectedOwner(t, booking);
    t.mock.method(console, 'log', () => {});
    const component = mount(
      (hooks) => componentWith({ ...hooks, localStorage: storageOf(client) }),
      { bookingId, userType: 'client' },
    );
    t.after(() => component.unmount());
    const shows = (n) =>
      component.until(`${n} messages`, () => {
        const { messages } = component.render();
        return messages.length < n ? undefined : messages.map(({ content }) => content);
      });

    // What is sent before is sent before the example joins, as everywhere.
    await new Promise((resolve) => component.render().socket.on('connect', resolve));
    component.render().setMessageInput('Hello!');
    component.render().sendMessage();
    await owner.next('newMessage');
    await shows(1);
    owner.emit('sendMessage', { bookingId, content: 'Welcome', senderType: 'business' });

    assert.deepEqual(await shows(2), ['Hello!', 'Welcome']);
  });
});
