// Browsers that are watched: whatever one complains about fails the test.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

import { chromiumPath } from './environment.mjs';

/** How long anything on a page may take before a test gives up on it. */
export const DEADLINE_MS = 20_000;

/** Options of each test: what hangs in a page must not keep the suite from ending. */
export const LIMITS = { timeout: 3 * DEADLINE_MS };

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const FLAGS = [
  '--disable-gpu',
  '--mute-audio',
  // A camera that draws a clock, a microphone that beeps, and a person who allows both.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  // Where there is no network but loopback, its address must do.
  '--allow-loopback-in-peer-connection',
];

/** Starts a browser, as a process of its own, that ends with the file's tests. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: FLAGS,
    // Root and many containers have no sandbox; only our own pages are opened.
    chromiumSandbox: false,
  });
  after(() => browser.close(), { timeout: DEADLINE_MS });
  return browser;
}

/** Opens an empty page, which ends with the test, and fails it if anything on it goes wrong. */
export async function newPage(t, browser, device = DESKTOP) {
  const context = await browser.newContext({ ...device, permissions: ['camera', 'microphone'] });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MS);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(`exception: ${error.stack}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') {
      complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
    }
  });
  page.on('response', (response) => {
    if (response.status() >= 400) {
      complaints.push(`${response.status()}: ${response.url()}`);
    }
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  return page;
}

/** Waits for something on a page, by its selector, and returns it. */
export async function shown(page, selector) {
  const locator = page.locator(selector);
  await locator.waitFor();
  return locator;
}

/** Asks `look` again and again until it returns what `wanted` accepts, and returns that. */
export async function eventually(look, wanted, what) {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const found = await look();
    if (wanted(found)) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`${what}: ${JSON.stringify(found)} after ${DEADLINE_MS} ms`);
    }
    await pause(100);
  }
}
