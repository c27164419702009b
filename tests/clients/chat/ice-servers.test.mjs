// The credentials that people in a call get, and the relay that takes them or does not.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { test } from 'node:test';

import { newUser } from '../lib/directory.mjs';
import { relay } from '../lib/environment.mjs';
import { as } from '../lib/rest.mjs';
import { allocate, permit } from '../lib/turn.mjs';

const now = () => Math.floor(Date.now() / 1_000);

/** Credentials as coturn's REST API has them. */
function credentials(secret, expires, name = 'someone') {
  const username = `${expires}:${name}`;
  return { username, credential: createHmac('sha1', secret).update(username).digest('base64') };
}

/** What `user` is told: `[stun, turn]`. */
async function iceServers(user) {
  const { status, data } = await as(user).get('/chat/ice-servers');
  assert.equal(status, 200, JSON.stringify(data));
  return data.iceServers;
}

test('what a user is told is taken by the relay', async () => {
  const [stun, turn] = await iceServers(await newUser('patient'));

  assert.deepEqual(stun, { urls: [relay.url.replace('turn:', 'stun:')] });
  for (const url of turn.urls) {
    assert.equal(await allocate(url, turn), 'done', url);
  }
});

test('what a user is told ends within the hour', async () => {
  const [, turn] = await iceServers(await newUser('consultant'));

  const [expires, name] = turn.username.split(':');

  assert.ok(now() < expires && expires <= now() + 3_600, turn.username);
  assert.deepEqual(credentials(relay.secret, expires, name).credential, turn.credential);
});

test('the relay refuses credentials made with another secret', async () => {
  const forged = credentials('another secret', now() + 3_600);

  assert.equal(await allocate(relay.url, forged), 401);
});

test('the relay refuses credentials whose time is over', async () => {
  const expired = credentials(relay.secret, now() - 60);
  const valid = credentials(relay.secret, now() + 60);

  assert.equal(await allocate(relay.url, expired), 401);
  assert.equal(await allocate(relay.url, valid), 'done');
});

test('the relay refuses credentials whose time was put off', async () => {
  const { credential } = credentials(relay.secret, now() - 60);
  const { username } = credentials(relay.secret, now() + 3_600);

  assert.equal(await allocate(relay.url, { username, credential }), 401);
});

test('the relay leads out to the world', async () => {
  for (const peer of ['1.1.1.1', '8.8.8.8', '193.0.0.1']) {
    const valid = credentials(relay.secret, now() + 60, randomUUID());
    assert.equal(await permit(relay.url, valid, peer), 'done', peer);
  }
});

test('the relay does not lead into the network it stands in', async () => {
  const inside = ['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.2', '169.254.169.254', '172.20.0.1'];
  for (const peer of [...inside, '192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255']) {
    const valid = credentials(relay.secret, now() + 60, randomUUID());
    assert.equal(await permit(relay.url, valid, peer), 403, peer);
  }
});
