// The same people in every app, at one gateway: whatever is said in one app, nobody hears of it in
// another, and what one app knows does not exist in another.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { connect, gateway } from '../lib/client.mjs';
import { put } from '../lib/directory.mjs';
import * as apps from '../lib/environment.mjs';
import { as } from '../lib/rest.mjs';
import { settled, tokenOf as rootTokenOf } from '../lib/root.mjs';
import { tokenOf } from '../lib/token.mjs';

const ROLES = {
  consult: ['consultant', 'patient'],
  care: ['doctor', 'patient'],
  clinic: ['doctor', 'admin'],
  booking: ['business', 'client'],
};

/** What is said in each app, and the event by which the other hears of it. */
const SAYINGS = {
  consult: (one, other, world) => [
    ['send_message', { conversationId: world.conversationId, content: 'Hi', senderType: other.role }, 'new_message'],
    ['typing_start', { conversationId: world.conversationId, userId: other.id, userType: other.role }, 'user_typing'],
    ['typing_stop', { conversationId: world.conversationId, userId: other.id }, 'user_stopped_typing'],
  ],
  care: (one) => [
    ['send_message', { receiverId: one.id, content: 'Hi' }, 'new_message'],
    ['typing_start', { receiverId: one.id }, 'typing_start'],
    ['typing_stop', { receiverId: one.id }, 'typing_stopped'],
    ['mark_read', { senderId: one.id }, undefined],
    ['set_status', { status: 'busy' }, 'user_status_change'],
  ],
  clinic: (one) => [
    ['send_message', { receiver_email: one.id, content: 'Hi' }, 'receive_message'],
    ['user_typing', { receiver_email: one.id, is_typing: true }, 'user_typing'],
  ],
  booking: (one, other, world) => [
    ['sendMessage', { bookingId: world.id, content: 'Hi', senderType: other.role }, 'newMessage'],
  ],
};

const world = { id: randomUUID() };

async function person(app, id, role) {
  const email = `${id}@example.org`;
  const user = { id: app.dialect === 'clinic' ? email : id, role, name: role, email, app };
  await put(app, `users/${user.id}`, { role, name: role, email });
  const token = app.dialect === 'consult' ? tokenOf(user) : rootTokenOf(user);
  return { ...user, token };
}

describe('apps with the same people', () => {
  const people = {};

  before(async () => {
    const ids = [randomUUID(), randomUUID()];
    for (const [name, roles] of Object.entries(ROLES)) {
      const app = name === 'consult' ? apps.app : apps[name];
      people[name] = [await person(app, ids[0], roles[0]), await person(app, ids[1], roles[1])];
    }
    const [consultantId, patientId] = ids;
    await put(apps.app, `bookings/${world.id}`, { consultantId, patientId });
    const about = { consultantId, patientId, bookingId: world.id };
    const { data } = await as(people.consult[1]).post('/chat/conversations', about);
    world.conversationId = data.id;
    await put(apps.care, `associations/${ids[0]}/${ids[1]}`, {});
    await put(apps.booking, `businesses/${world.id}`, { ownerId: ids[0], name: 'A studio' });
    await put(apps.booking, `bookings/${world.id}`, { businessId: world.id, clientId: ids[1] });
  });

  async function everybody(t) {
    const clients = {};
    for (const [name, pair] of Object.entries(people)) {
      const namespace = name === 'consult' ? '/chat' : '/';
      const open = (user) => connect(t, user, { url: gateway(0), namespace });
      clients[name] = await Promise.all(pair.map(open));
    }
    for (const client of clients.consult) {
      const { id: userId, role: userType } = client.user;
      await client.ask('join_conversation', {
        conversationId: world.conversationId,
        userId,
        userType,
      });
    }
    for (const client of clients.booking) {
      await client.ask('joinBooking', world.id);
    }
    return clients;
  }

  for (const name of Object.keys(ROLES)) {
    test(`hear nothing of what is said in ${name}`, async (t) => {
      const clients = await everybody(t);
      const [one, other] = clients[name];
      const others = Object.entries(clients).filter(([app]) => app !== name);
      // Who is there is told once, soon after everybody came.
      const presence = /^(presence\.changed|user_status_change|user_online|user_offline)$/;
      const heard = (client) => client.names().filter((event) => !presence.test(event)).length;
      const before = others.map(([, pair]) => pair.map(heard));

      for (const [event, payload, expected] of SAYINGS[name](one.user, other.user, world)) {
        other.emit(event, payload);
        if (expected) {
          await one.next(expected);
        }
      }
      // Told a while later: the people of the next test are the same.
      await other.next('message_delivered');

      for (const [, pair] of others) {
        await Promise.all(pair.map(settled));
      }
      assert.deepEqual(
        others.map(([, pair]) => pair.map(heard)),
        before,
      );
      const statuses = others.flatMap(([, pair]) =>
        pair.flatMap((client) => client.all('presence.changed').map(({ status }) => status)),
      );
      assert.ok(!statuses.includes('busy'));
    });
  }

  test('do not know the ids of each other', async (t) => {
    const { care, clinic, booking } = await everybody(t);
    const { conversationId } = world;

    for (const client of [...care, ...booking]) {
      const answer = await client.ask('sync', { since: { [conversationId]: 0 } });
      const code = answer.data?.code ?? answer.code;
      assert.equal(code, 'not_found', JSON.stringify(answer));
    }
    clinic[0].emit('sync', { since: { [conversationId]: 0 } });
    assert.equal((await clinic[0].next('error')).code, 'not_found');
    // Messages of another app are not there to be marked.
    const [one, other] = booking;
    other.emit('sendMessage', { bookingId: world.id, content: 'mine' });
    const { _id } = await one.next('newMessage');
    clinic[0].emit('mark_message_read', { message_id: _id });
    const { messageIds } = await one.ask('markAsRead', { messageIds: [_id] });
    assert.deepEqual(messageIds, [_id]);
  });

  test('do not take the tokens of each other for one connection', async (t) => {
    const { care } = await everybody(t);
    const foreign = people.booking[0].token;

    const answer = await care[0].ask('auth:refresh', { token: foreign });

    assert.equal(answer.data.code, 'unauthorized');
  });
});
