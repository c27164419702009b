// Two people who write to each other, one on a phone.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LIMITS, PHONE, eventually, launch } from './lib/browser.mjs';
import { message, newPeople, openDemo, say } from './lib/demo.mjs';

const [desktop, phone] = await Promise.all([launch(), launch()]);

async function openBoth(t) {
  const people = await newPeople();
  return Promise.all([
    openDemo(t, desktop, people, 'consultant', { gateway: 0 }),
    openDemo(t, phone, people, 'patient', { gateway: 1, device: PHONE }),
  ]);
}

test('each sees what the other writes, and that it was read', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);

  await say(patient, 'Good morning');
  await message(consultant, 'Good morning', { mine: false });
  await message(patient, 'Good morning', { mine: true, states: ['read'] });
  await say(consultant, 'How are <b>you</b>?');
  await message(patient, 'How are <b>you</b>?', { mine: false });
  await message(consultant, 'How are <b>you</b>?', { mine: true, states: ['read'] });

  for (const page of [consultant, patient]) {
    assert.equal(await page.locator('.message').count(), 2);
  }
});

test('each sees that the other types, until the message is there', LIMITS, async (t) => {
  for (const [writer, reader] of [await openBoth(t), (await openBoth(t)).reverse()]) {
    await writer.fill('#composer', 'I am thinking');
    const typeOn = async () => {
      await writer.press('#composer', '.');
      return reader.locator('#typing').isVisible();
    };
    await eventually(typeOn, (isSeen) => isSeen, 'typing');
    await writer.click('#send');
    await message(reader, 'I am thinking', { mine: false });
    await reader.locator('#typing').waitFor({ state: 'hidden' });
  }
});

test('what was written is there after the page is opened again', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);
  await say(consultant, 'Keep this');
  await message(consultant, 'Keep this', { mine: true, states: ['read'] });

  await Promise.all([consultant.reload(), patient.reload()]);

  await message(consultant, 'Keep this', { mine: true, states: ['read'] });
  await message(patient, 'Keep this', { mine: false });
});

test('what is written without a connection arrives when it is back', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);

  // The library's own way to lose a connection, without the complaints of a browser about it.
  await consultant.evaluate(() => window.demo.socket.io.engine.close());
  await say(consultant, 'Are you there?');

  await message(patient, 'Are you there?', { mine: false });
  await message(consultant, 'Are you there?', { mine: true, states: ['read'] });
  assert.equal(await patient.locator('.message').count(), 1);
});

test('nothing is wider than the screen', LIMITS, async (t) => {
  const pages = await openBoth(t);
  const text = `${'long'.repeat(60)} ${'many words '.repeat(40)}`;
  await say(pages[0], text);

  for (const page of pages) {
    await page.locator('.message').waitFor();
    const [content, screen] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      window.innerWidth,
    ]);
    assert.ok(content <= screen, `${content} > ${screen}`);
  }
});

test('each sees whether the other is there', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);
  await consultant.locator('#presence[data-status=available]').waitFor();
  await patient.locator('#presence[data-status=available]').waitFor();

  await patient.close();

  await consultant.locator('#presence[data-status=offline]').waitFor();
});
