// The checks at the end of the attack list find what they are there for.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertClean, assertFlat, CANARY, GROWTH_KB, secret, secrets } from './tools.mjs';

test('a process that has grown is found', () => {
  assertFlat('one', 100_000, 100_000 + GROWTH_KB - 1);
  assertFlat('one', 100_000, 90_000);

  assert.throws(() => assertFlat('one', 100_000, 100_000 + GROWTH_KB), /one has grown by 65536 KB/);
  // What cannot be read is no figure.
  assert.throws(() => assertFlat('one', 100_000, NaN), /grown/);
});

test('a log with something of somebody in it is found', () => {
  secret('header.claims.signature');
  const canaries = [CANARY, '@example.org', ...secrets];
  assertClean('log', '{"level":"INFO","message":"started"}', canaries);

  for (const trace of [CANARY, 'ann@example.org', 'Bearer header.claims.signature']) {
    const line = `{"level":"WARN","message":"refused ${trace}"}`;
    assert.throws(() => assertClean('log', line, canaries), /refused/, trace);
  }
});
