// Who may do what, as a property: for drawn people, conversations and actions, over REST and sockets,
// allowed exactly when the person takes part, and never in the name of another one.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, gateway } from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { as } from '../lib/rest.mjs';
import { dice } from './draws.mjs';

const DRAWS = 300;

const rest = (answer) => ({ allowed: answer.status < 300, refusal: answer.status });
const socket = ({ event, data }) => ({ allowed: event !== 'error', refusal: data?.code });

/** What can be done: by `one` in `talk`, whose other side, if `one` has one, is `other`. */
const ACTIONS = {
  read: async ({ one, path }) => rest(await as(one).get(`${path}/messages`)),
  count: async ({ one, path }) => rest(await as(one).get(`${path}/unread?userId=${one.id}`)),
  mark: async ({ one, path, talk }) =>
    rest(await as(one).post(`${path}/read`, { messageIds: talk.messageIds })),
  send: async ({ one, talk }) =>
    rest(await as(one).post('/chat/messages', { ...talk.ids, content: 'hi', senderType: one.role })),
  find: async ({ one, talk }) => {
    const { data } = await as(one).get(`/chat/conversations?${one.role}Id=${one.id}`);
    const isThere = data.some(({ id }) => id === talk.conversationId);
    return { allowed: isThere, refusal: 403 };
  },
  'count of another': async ({ one, other, path }) =>
    rest(await as(one).get(`${path}/unread?userId=${other.id}`)),
  'find of another': async ({ one, other }) =>
    rest(await as(one).get(`/chat/conversations?${other.role}Id=${other.id}`)),
  join: async ({ client, one, conversationId }) =>
    socket(await client.ask('join_conversation', { conversationId, userId: one.id, userType: one.role })),
  'join of another': async ({ client, other, conversationId }) =>
    socket(
      await client.ask('join_conversation', { conversationId, userId: other.id, userType: other.role }),
    ),
  'send by socket': async ({ client, one, conversationId }) =>
    socket(await client.ask('send_message', { conversationId, content: 'hi', senderType: one.role })),
  'mark by socket': async ({ client, conversationId, talk }) =>
    socket(await client.ask('mark_read', { conversationId, messageIds: talk.messageIds })),
  sync: async ({ client, conversationId }) =>
    socket(await client.ask('sync', { since: { [conversationId]: 0 } })),
};

test('exactly who takes part may do anything in a conversation', async (t) => {
  const consultants = [await newUser('consultant'), await newUser('consultant')];
  const patients = [await newUser('patient'), await newUser('patient')];
  const people = [...consultants, ...patients, await newUser('consultant'), await newUser('patient')];
  const talks = [];
  for (const consultant of consultants) {
    for (const patient of patients) {
      const talk = await newConversation({ consultant, patient });
      talk.messageIds = [];
      for (const one of [consultant, patient]) {
        const body = { ...talk.ids, content: 'hi', senderType: one.role };
        const { data } = await as(one).post('/chat/messages', body);
        talk.messageIds.push(data.message.id);
      }
      talks.push(talk);
    }
  }
  const clients = [];
  for (const [i, one] of people.entries()) {
    clients.push(await connect(t, one, { url: gateway(i) }));
  }

  const numbers = dice();
  const draw = (list) => list[numbers.next().value % list.length];
  let count = 0;
  for (let i = 0; i < DRAWS; i += 1) {
    const one = draw(people);
    const talk = draw(talks);
    const action = draw(Object.keys(ACTIONS));
    const { consultant, patient, conversationId } = talk;
    const other = one.id === patient.id ? consultant : patient;
    const takesPart = [consultant.id, patient.id].includes(one.id);
    const may = takesPart && !action.endsWith('of another');

    const { allowed, refusal } = await ACTIONS[action]({
      one,
      other,
      talk,
      conversationId,
      client: clients[people.indexOf(one)],
      path: `/chat/conversations/${conversationId}`,
    });

    const what = `${one.role} ${takesPart ? 'inside' : 'outside'}: ${action}: ${refusal}`;
    assert.equal(allowed, may, what);
    if (!may) assert.ok([403, 'unauthorized'].includes(refusal), what);
    count += may;
  }
  assert.ok(DRAWS / 10 < count && count < (DRAWS * 9) / 10, `${count} were allowed`);
});
