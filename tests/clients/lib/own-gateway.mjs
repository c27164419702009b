// A gateway of the test's own, beside those of the system under test, whose stores answer it.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { nats } from './environment.mjs';
import { DEADLINE_MS } from './rest.mjs';

const BUILT = fileURLToPath(new URL('../../../target/debug/realtime-gateway', import.meta.url));

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Starts it for the length of a test, with the apps of a TOML text and further settings; returns its
 * URL, its `pid` and what it logs.
 */
export async function ownGateway(t, toml, settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'own-gateway-'));
  const apps = join(folder, 'apps.toml');
  writeFileSync(apps, toml);
  const [port, adminPort] = [await freePort(), await freePort()];
  const gateway = spawn(process.env.CHAT_GATEWAY ?? BUILT, {
    env: {
      NATS_URL: nats.url,
      CHAT_APPS_FILE: apps,
      CHAT_DEPLOYMENT_KEY: randomBytes(32).toString('hex'),
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      GATEWAY_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
      GATEWAY_REPLICA: `own-${port}`,
      DRAIN_TIMEOUT_S: '1',
      LOG_FORMAT: 'text',
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [gateway.stdout, gateway.stderr]) {
    stream.on('data', (text) => {
      log += text;
    });
  }
  const ended = new Promise((resolve) => gateway.on('exit', resolve));
  t.after(async () => {
    gateway.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true });
  });

  const isReady = () => fetch(`http://127.0.0.1:${adminPort}/readyz`).then(({ ok }) => ok);
  for (const start = Date.now(); !(await isReady().catch(() => false)); ) {
    if (gateway.exitCode !== null || Date.now() - start > DEADLINE_MS) {
      throw new Error(`the gateway does not serve:\n${log}`);
    }
    await new Promise(setImmediate);
  }
  return { url: `http://127.0.0.1:${port}`, pid: gateway.pid, log: () => log };
}
