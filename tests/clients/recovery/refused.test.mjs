// What a client brings is believed when it is its own and whole. Else it gets a session of its own,
// and is told to fetch.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Client, connect, gateway } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { assertCaughtUp, comeBack, drop, reconnect } from '../lib/recovery.mjs';
import { posted } from '../lib/rest.mjs';

/** A patient's client that was told of one message. */
async function told(t) {
  const talk = await newConversation();
  const client = await connect(t, talk.patient, { url: gateway(0) });
  await posted(talk.consultant, talk.ids, 'first');
  await assertCaughtUp(client, talk.conversationId, 1);
  return { ...talk, client, state: stateOf(client) };
}

const stateOf = ({ socket }) => ({ pid: socket._pid, offset: socket._lastOffset });

/** Connects with what another client had. */
async function connectWith(t, user, { pid, offset }) {
  const client = new Client(gateway(1), {
    auth: { token: user.token, pid, offset },
    transports: ['websocket'],
  });
  t.after(() => client.close());
  client.user = user;
  await client.next('(connect)');
  return client;
}

/** Asserts that a client got a session of its own, and was told where the conversation stands. */
async function assertFresh(client, { state, conversationId }, lastSeq) {
  assert.notEqual(client.socket._pid, state.pid);
  assert.ok(!client.socket.recovered);
  const { conversations } = await client.next('resync');
  assert.deepEqual(conversations, [{ conversationId, lastSeq }]);
  assert.deepEqual(client.all('new_message'), []);
}

describe('a session of its own', { concurrency: true }, () => {
  const twist = (text, at) => {
    const other = text.at(at) === 'A' ? 'B' : 'A';
    return at < 0 ? text.slice(0, at) + other + text.slice(text.length + at + 1) : other + text.slice(1);
  };
  const bad = {
    'a forged offset': ({ pid, offset }) => ({ pid, offset: twist(offset, -9) }),
    'an offset cut short': ({ pid, offset }) => ({ pid, offset: offset.slice(0, -4) }),
    'a forged pid': ({ pid, offset }) => ({ pid: twist(pid, -9), offset }),
    'no pid that we made': ({ offset }) => ({ pid: 'made up', offset }),
    'an endless offset': ({ pid }) => ({ pid, offset: 'A'.repeat(10_000) }),
    'an offset that is no text': ({ pid }) => ({ pid, offset: { length: 3 } }),
    'a pid that is no text': ({ offset }) => ({ pid: [1], offset }),
    'the name of an event': ({ pid }) => ({ pid, offset: 'call:connected' }),
  };
  for (const [what, forge] of Object.entries(bad)) {
    test(`is what ${what} gets`, async (t) => {
      const talk = await told(t);
      await posted(talk.consultant, talk.ids, 'missed');

      const client = await connectWith(t, talk.patient, forge(talk.state));

      await assertFresh(client, talk, 2);
      await posted(talk.consultant, talk.ids, 'after');
      await assertCaughtUp(client, talk.conversationId, 3, 3);
    });
  }

  test('is what somebody else gets', async (t) => {
    const talk = await told(t);
    const other = await newConversation();

    const client = await connectWith(t, other.patient, talk.state);

    await assertFresh(client, { ...talk, conversationId: other.conversationId }, 0);
  });

  test('is what the offset of another session gets', async (t) => {
    const talk = await told(t);
    const second = await connect(t, talk.patient, { url: gateway(1) });
    const state = { pid: stateOf(second).pid, offset: talk.state.offset };

    const client = await connectWith(t, talk.patient, state);

    await assertFresh(client, { ...talk, state }, 1);
  });

  test('can be come back to at once', async (t) => {
    const talk = await told(t);
    const client = talk.client;
    await drop(client);
    client.socket._lastOffset = 'call:connected';
    await comeBack(client, 1);
    assert.equal(client.socket.recovered, false);
    await client.next('resync');

    assert.equal(await reconnect(client, 2), true);
    await posted(talk.consultant, talk.ids, 'after');
    await client.next('new_message', ({ message }) => message.content === 'after');
  });

  test('is not what the same user with another token gets', async (t) => {
    const talk = await told(t);
    await posted(talk.consultant, talk.ids, 'missed');

    const client = await connectWith(t, talk.patient, talk.state);

    await assertCaughtUp(client, talk.conversationId, 2, 2);
    assert.equal(client.socket._pid, talk.state.pid);
    assert.deepEqual(client.all('resync'), []);
  });

  test('has a bad token refused like any other', async (t) => {
    const talk = await told(t);
    const client = new Client(gateway(1), {
      auth: { token: 'x.y.z', ...talk.state },
      transports: ['websocket'],
    });
    t.after(() => client.close());

    const error = await client.next('(connect_error)');

    assert.equal(error.message, 'Invalid token');
  });
});
