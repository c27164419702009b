// Who may connect: tokens, where they come from, namespaces and origins.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { describe, test } from 'node:test';

import {
  Client,
  connect,
  connectAndJoin,
  gateway,
  POLLING,
  send,
  TRANSPORTS,
} from '../lib/client.mjs';
import { newConversation, newUser } from '../lib/directory.mjs';
import { publicUrl } from '../lib/environment.mjs';
import { assertRejected } from '../lib/shapes.mjs';
import { seconds, sign, tokenOf } from '../lib/token.mjs';

/** Connects with these options and returns the error that the client is told. */
async function refused(t, options) {
  const client = new Client(gateway(0), { transports: ['websocket'], ...options });
  t.after(() => client.close());
  const error = await client.next('(connect_error)');
  assert.equal(client.socket.connected, false);
  return error;
}

async function assertRefused(t, options, message, code) {
  const error = await refused(t, options);
  assert.equal(error.message, message);
  assert.equal(error.data?.code, code);
}

const claims = (more) => ({
  sub: randomUUID(),
  role: 'patient',
  exp: seconds() + 60,
  ...more,
});

describe('a connection', { concurrency: 4 }, () => {
  for (const { name, options } of TRANSPORTS) {
    test(`without a token is refused, ${name}`, async (t) => {
      await assertRefused(t, options, 'Authentication token required', 'token_missing');
    });

    test(`with a token that is none is refused, ${name}`, async (t) => {
      await assertRefused(t, { ...options, token: 'garbage' }, 'Invalid token', 'token_invalid');
    });

    test(`with an expired token is refused, ${name}`, async (t) => {
      const token = sign(claims({ exp: seconds() - 120 }));
      await assertRefused(t, { ...options, token }, 'Token expired', 'token_expired');
    });
  }

  for (const [what, token] of [
    ['unsigned', () => sign(claims(), { header: { alg: 'none', typ: 'JWT' } })],
    ['signed with another secret', () => sign(claims(), { secret: 'x'.repeat(64) })],
    ['of another algorithm', () => sign(claims(), { header: { alg: 'HS512', typ: 'JWT' } })],
    ['without a signature', () => sign(claims()).replace(/[^.]*$/, '')],
    ['altered', () => sign(claims()).replace(/\.[^.]*\./, `.${sign(claims()).split('.')[1]}.`)],
    ['without expiry', () => sign(claims({ exp: undefined }))],
    ['with an expiry that is text', () => sign(claims({ exp: `${seconds() + 60}` }))],
    ['without a user', () => sign(claims({ sub: undefined }))],
    ['of a user whose id is no UUID', () => sign(claims({ sub: 'user-1' }))],
    ['of a role that does not exist here', () => sign(claims({ role: 'agent' }))],
    ['that is not valid yet', () => sign(claims({ nbf: seconds() + 300 }))],
    ['that is very long', () => sign(claims({ padding: 'x'.repeat(8_000) }))],
  ]) {
    test(`with a token ${what} is refused`, async (t) => {
      await assertRefused(t, { token: token() }, 'Invalid token', 'token_invalid');
    });
  }

  test('with a token in the query is refused', async (t) => {
    const { token } = await newUser('patient');
    const query = { token, access_token: token };
    await assertRefused(t, { query }, 'Authentication token required', 'token_missing');
  });

  test('with a bad token is refused even beside a good header', async (t) => {
    const { token } = await newUser('patient');
    const extraHeaders = { Authorization: `Bearer ${token}` };
    const options = { token: 'garbage', extraHeaders };
    await assertRefused(t, options, 'Invalid token', 'token_invalid');
  });

  for (const namespace of ['/', '/other', '/chat/x']) {
    test(`to the namespace ${namespace} is refused`, async (t) => {
      const { token } = await newUser('patient');
      const error = await refused(t, { namespace, token });
      assert.equal(error.message, 'Invalid namespace');
    });
  }

  const OFFERS = [
    ['auth.token', (token) => ({ auth: { token } })],
    ['auth.token with Bearer', (token) => ({ auth: { token: `Bearer ${token}` } })],
    ['the Authorization header', (token) => ({ Authorization: `Bearer ${token}` })],
    ['the cookie access_token', (token) => ({ Cookie: `theme=dark; access_token=${token}` })],
  ];
  for (const [what, offer] of OFFERS) {
    for (const via of TRANSPORTS) {
      test(`takes the token from ${what}, ${via.name}`, async (t) => {
        const { patient, conversationId } = await newConversation();
        const { auth, ...extraHeaders } = offer(patient.token);
        const options = { url: gateway(0), via, token: undefined, extraHeaders };

        const client = await connectAndJoin(t, patient, conversationId, {
          ...options,
          ...(auth && { auth }),
        });

        await send(client, conversationId, 'Hello');
      });
    }
  }

  test('takes the user from any of the usual claims', async (t) => {
    const { patient, conversationId } = await newConversation();
    const { id, role } = patient;
    const exp = seconds() + 60;

    for (const identity of [{ sub: id }, { id }, { userId: id }, { user: { id } }]) {
      const user = { ...patient, token: sign({ ...identity, role, exp }) };
      const client = await connectAndJoin(t, user, conversationId);
      await send(client, conversationId, 'Hello');
    }
  });

  test('takes a token that expired within the leeway', async (t) => {
    const user = await newUser('patient');
    await connect(t, { ...user, token: tokenOf(user, { ttl: -5 }) });
  });

  test('does not show the id of its transport', async (t) => {
    const client = await connect(t, await newUser('patient'), {
      url: gateway(0),
      via: POLLING,
    });
    assert.notEqual(client.socket.id, client.socket.io.engine.id);
  });
});

describe('a token that expires while its socket is open', { concurrency: 4 }, () => {
  test('is told, and the namespace is disconnected after the grace', async (t) => {
    const user = await newUser('patient');
    const client = await connect(t, { ...user, token: tokenOf(user, { ttl: -25 }) });

    const error = await client.next('error', () => true, 60_000);
    const reason = await client.next('(disconnect)', () => true, 120_000);

    assert.equal(error.message, 'Token expired');
    assert.equal(error.code, 'token_expired');
    assert.equal(reason, 'io server disconnect');
  });

  test('can be refreshed by one of the same user', async (t) => {
    const user = await newUser('patient');
    const short = { ...user, token: tokenOf(user, { ttl: -25 }) };
    const [refreshed, witness] = await Promise.all([connect(t, short), connect(t, short)]);
    const exp = seconds() + 3600;

    const answer = await refreshed.ask('auth:refresh', {
      token: sign({ ...claims(), sub: user.id, exp }),
    });

    assert.equal(answer.event, 'auth:refreshed');
    assert.equal(Date.parse(answer.data.expiresAt), exp * 1000);
    assert.deepEqual(await refreshed.next('auth:refreshed'), answer.data);
    await witness.next('(disconnect)', () => true, 120_000);
    assert.equal(refreshed.socket.connected, true);
  });

  test('cannot be refreshed by a bad one, nor by one of another user', async (t) => {
    const [user, other] = await Promise.all([newUser('patient'), newUser('patient')]);
    const client = await connect(t, user);

    for (const token of ['garbage', other.token, sign(claims({ exp: seconds() - 120 }))]) {
      await assertRejected(client, await client.ask('auth:refresh', { token }), {
        event: 'auth:refresh',
      });
    }
    assert.equal(client.socket.connected, true);
  });
});

describe('origins', { concurrency: 4 }, () => {
  const KNOWN = [
    'http://localhost:3000',
    'http://localhost:5173',
    'https://jiggy-care.onrender.com',
  ];
  const FOREIGN = ['https://evil.example', 'http://localhost:5173.evil.example', 'null'];

  /** Begins a session by hand and returns the status and headers of the answer. */
  async function handshake(url, transport, headers) {
    const upgrade = transport === 'websocket' && {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    const target = `${url}/socket.io/?EIO=4&transport=${transport}`;
    const call = request(target, { headers: { ...headers, ...upgrade }, agent: false }).end();
    const [response, socket] = await Promise.race([once(call, 'response'), once(call, 'upgrade')]);
    socket?.destroy();
    response.resume();
    return { status: response.statusCode, headers: response.headers };
  }

  const good = { polling: 200, websocket: 101 };

  for (const transport of ['polling', 'websocket']) {
    for (const [where, url] of [
      ['a gateway', gateway(0)],
      ['the public URL', publicUrl],
    ]) {
      test(`that are foreign are refused, ${transport} at ${where}`, async () => {
        for (const Origin of FOREIGN) {
          const { status, headers } = await handshake(url, transport, { Origin });
          assert.equal(status, 403, Origin);
          assert.equal(headers['access-control-allow-origin'], undefined);
        }
      });

      test(`that are known, none at all or the own host pass, ${transport} at ${where}`, async () => {
        for (const headers of [...KNOWN, url].map((Origin) => ({ Origin }))) {
          assert.equal((await handshake(url, transport, headers)).status, good[transport]);
        }
        assert.equal((await handshake(url, transport, {})).status, good[transport]);
      });
    }
  }

  test('that are known may use cookies across origins', async () => {
    for (const Origin of KNOWN) {
      const { headers } = await handshake(gateway(0), 'polling', { Origin });
      assert.equal(headers['access-control-allow-origin'], Origin);
      assert.equal(headers['access-control-allow-credentials'], 'true');
    }
  });

  test('that are foreign cannot be used by the stock client', async (t) => {
    const { token } = await newUser('patient');
    const extraHeaders = { Origin: 'https://evil.example' };
    for (const { options } of TRANSPORTS) {
      await refused(t, { ...options, token, extraHeaders });
    }
  });
});
