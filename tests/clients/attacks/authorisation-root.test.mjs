// Who may do what, as a property, in the dialects of the root namespace: for drawn people, counterparts
// and actions, over REST and sockets, allowed exactly when the contract says, and never in the name of
// another one. `authorisation.test.mjs` has that of consultations.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { gateway } from '../lib/client.mjs';
import { put } from '../lib/directory.mjs';
import * as apps from '../lib/environment.mjs';
import { connectRoot, newBooking, newPerson, newStaff, restOf } from '../lib/root.mjs';
import { dice, judge } from './draws.mjs';

const DRAWS = 200;

const rest = ({ status }) => ({ allowed: status < 300, refusal: status });
/** Whether an error came before the acknowledgement did. */
const socket = async (client, ...event) => {
  const before = client.all('error').length;
  await client.ask(...event);
  const error = client.all('error')[before];
  return { allowed: !error, refusal: error?.code };
};

/** Draws who does what to which of the `places`, and compares with `may`. */
async function allowedExactly(t, { people, places, actions, may }) {
  const clients = new Map();
  for (const [i, one] of people.entries()) {
    clients.set(one, await connectRoot(t, one, { url: gateway(i) }));
  }
  const numbers = dice();
  const draw = (list) => list[numbers.next().value % list.length];
  let count = 0;
  for (let i = 0; i < DRAWS; i += 1) {
    const [one, place, action] = [draw(people), draw(places), draw(Object.keys(actions))];
    if (one === place) continue;
    const drawn = { one, place, other: draw(people), client: clients.get(one), api: restOf(one) };
    const expected = may(one, place, action, drawn);
    count += judge(await actions[action](drawn), expected, `${one.role}: ${action}`);
  }
  assert.ok(DRAWS / 10 < count && count < (DRAWS * 9) / 10, `${count} were allowed`);
}

test('in care, exactly an associated doctor and patient may write to each other', async (t) => {
  const people = [];
  for (const role of ['doctor', 'patient', 'doctor', 'patient', 'doctor', 'patient']) {
    people.push(await newPerson(apps.care, role));
  }
  const pairs = [[0, 1], [0, 3], [2, 3]].map((pair) => pair.map((i) => people[i]));
  for (const [doctor, patient] of pairs) {
    await put(apps.care, `associations/${doctor.id}/${patient.id}`, {});
  }

  await allowedExactly(t, {
    people,
    places: people,
    may: (one, other) => pairs.some((pair) => pair.includes(one) && pair.includes(other)),
    actions: {
      send: async ({ one, place, api }) =>
        rest(
          one.role === 'patient'
            ? await api.post('/users/send-message', { doctorId: place.id, content: 'hi' })
            : await api.post(`/doctors/patients/${place.id}/messages`, { message: 'hi' }),
        ),
      read: async ({ place, api }) => rest(await api.get(`/chat/conversations/${place.id}`)),
      mark: async ({ place, api }) => rest(await api.put(`/chat/conversations/${place.id}/read`)),
      'send by socket': ({ place, client }) =>
        socket(client, 'send_message', { receiverId: place.id, content: 'hi' }),
    },
  });
});

test('in a clinic, exactly the two of a conversation read it, each in its own name', async (t) => {
  const { doctor, admin } = await newStaff();
  const { doctor: third, admin: fourth } = await newStaff();
  const people = [doctor, admin, third, fourth];
  const places = [];
  for (const two of [[doctor, admin], [third, fourth], [doctor, third]]) {
    const [sender, receiver] = two;
    const { status, data } = await restOf(sender).post('/api/messages', {
      receiver_email: receiver.id,
      content: 'hi',
    });
    assert.ok(status < 300, JSON.stringify(data));
    places.push({ two, sender, receiver, id: data.conversation_id, message: data.id });
  }

  await allowedExactly(t, {
    people,
    places,
    may: (one, { two, receiver }, action, { other }) => {
      if (action.endsWith('of another')) return one === other;
      return action.startsWith('mark') ? one === receiver : two.includes(one);
    },
    actions: {
      read: async ({ place, api }) => rest(await api.get(`/api/conversations/${place.id}/messages`)),
      'send in the name of another': async ({ place, other, one, api }) => {
        const receiver_email = place.two.find((user) => user !== one).id;
        const body = { sender_email: other.id, receiver_email, content: 'hi' };
        return rest(await api.post('/api/messages', body));
      },
      'list of another': async ({ other, api }) =>
        rest(await api.get(`/api/conversations?user_email=${other.id}`)),
      'count of another': async ({ other, api }) =>
        rest(await api.get(`/api/messages/unread-count?user_email=${other.id}`)),
      'join of another': ({ other, client }) =>
        socket(client, 'user_joined', { email: other.id }),
    },
  });
});

test('of a booking, exactly its client and the owner of its business may do anything', async (t) => {
  const one = await newBooking();
  const two = await newBooking({ owner: one.owner, businessId: one.businessId });
  const three = await newBooking({ client: one.client });
  const people = [one.owner, one.client, two.client, three.owner];
  people.push(await newPerson(apps.booking, 'client'), await newPerson(apps.booking, 'business'));

  await allowedExactly(t, {
    people,
    places: [one, two, three],
    may: (who, { owner, client }, action) =>
      who === owner || (who === client && action !== 'list of the business'),
    actions: {
      read: async ({ place, api }) => rest(await api.get(`/api/messages/booking/${place.bookingId}`)),
      send: async ({ place, api }) =>
        rest(await api.post('/api/messages', { bookingId: place.bookingId, content: 'hi' })),
      'list of the business': async ({ place, api }) =>
        rest(await api.get(`/api/messages/business/${place.businessId}/conversations`)),
      join: ({ place, client }) => socket(client, 'joinBooking', place.bookingId),
      'send by socket': ({ place, client }) =>
        socket(client, 'sendMessage', { bookingId: place.bookingId, content: 'hi' }),
    },
  });
});
