// python-socketio as it comes from PyPI: `clinic.py` is the client, run with each transport.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { declaringGateway } from '../lib/declaring.mjs';

const python = process.env.CHAT_PYTHON;
const skip = python ? false : 'CHAT_PYTHON names no Python with python-socketio';
const CLIENT = fileURLToPath(new URL('clinic.py', import.meta.url));

const run = (...args) =>
  promisify(execFile)(python, [CLIENT, ...args], { timeout: 60_000 }).then(({ stdout }) => stdout);

test('two of a clinic talk, with tokens', { skip }, async () => {
  assert.equal(await run(), 'OK websocket\nOK polling\n');
});

test('two of a clinic talk, and say who they are', { skip }, async (t) => {
  const { url } = await declaringGateway(t);

  assert.equal(await run(url), 'OK websocket\nOK polling\n');
});
