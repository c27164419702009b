// Two people who call each other: real sound and pictures between two browsers on two gateways.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LIMITS, PHONE, launch, shown } from './lib/browser.mjs';
import { newPeople, openDemo } from './lib/demo.mjs';
import { flowing } from './lib/media.mjs';

const browsers = await Promise.all([launch(), launch()]);

async function openBoth(t, { ice, device } = {}) {
  const people = await newPeople();
  return Promise.all([
    openDemo(t, browsers[0], people, 'consultant', { gateway: 0, ice }),
    openDemo(t, browsers[1], people, 'patient', { gateway: 1, ice, device }),
  ]);
}

const inState = (page, state) => page.locator(`#call[data-state=${state}]`).waitFor();

/** `caller` calls, `callee` accepts, and both are connected. */
async function call(caller, callee, type) {
  await caller.click(`#call-${type}`);
  await shown(callee, '#incoming');
  await inState(caller, 'ringing');
  await callee.click('#accept');
  await Promise.all([inState(caller, 'connected'), inState(callee, 'connected')]);
}

/** Both see the end of the call, and let go of camera and connection. */
async function assertEnded(pages) {
  for (const page of pages) {
    await inState(page, 'ended');
    assert.equal(await page.evaluate(() => window.demo.peer), null);
    assert.equal(await page.evaluate(() => document.querySelector('#remote').srcObject), null);
  }
}

for (const [way, ice] of [['directly'], ['through the relay', 'relay']]) {
  test(`a video call flows ${way}, until one hangs up`, LIMITS, async (t) => {
    const pages = await openBoth(t, { ice, device: PHONE });

    await call(...pages, 'video');

    for (const page of pages) {
      await flowing(page, { video: true, relayed: ice === 'relay' });
    }
    await pages[1].click('#hang-up');
    await assertEnded(pages);
    for (const page of pages) {
      await page.locator('.message', { hasText: 'Video call, ' }).waitFor();
    }
  });
}

test('a voice call flows in the other direction, too', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);

  await call(patient, consultant, 'audio');

  for (const page of [consultant, patient]) {
    await flowing(page, { video: false, relayed: false });
  }
  await patient.click('#hang-up');
  await assertEnded([consultant, patient]);
});

test('of two devices that ring, the one that accepts has the call', LIMITS, async (t) => {
  const people = await newPeople();
  const [consultant, phone, tablet] = await Promise.all([
    openDemo(t, browsers[0], people, 'consultant', { gateway: 0 }),
    openDemo(t, browsers[1], people, 'patient', { gateway: 1, device: PHONE }),
    openDemo(t, browsers[1], people, 'patient', { gateway: 0 }),
  ]);
  await consultant.click('#call-audio');
  await Promise.all([shown(phone, '#incoming'), shown(tablet, '#incoming')]);

  await phone.click('#accept');

  await assertEnded([tablet]);
  await tablet.locator('#incoming').waitFor({ state: 'hidden' });
  for (const page of [consultant, phone]) {
    await flowing(page, { video: false, relayed: false });
  }
});

test('a declined call ends for both, and leaves them free for the next one', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);
  await consultant.click('#call-video');
  await shown(patient, '#incoming');

  await patient.click('#decline');
  await assertEnded([consultant]);
  await call(patient, consultant, 'audio');

  await flowing(consultant, { video: false, relayed: false });
});

test('a caller who gives up silences the other side', LIMITS, async (t) => {
  const [consultant, patient] = await openBoth(t);
  await consultant.click('#call-video');
  await shown(patient, '#incoming');

  await consultant.click('#hang-up');

  await patient.locator('#incoming').waitFor({ state: 'hidden' });
  await assertEnded([consultant]);
});

test('who calls somebody in a call hears that they are busy, and disturbs nobody', LIMITS, async (t) => {
  const people = await newPeople();
  const consultant = people.people.find(({ role }) => role === 'consultant');
  const [called, talking, third] = await Promise.all([
    openDemo(t, browsers[0], people, 'consultant', { gateway: 0 }),
    openDemo(t, browsers[1], people, 'patient', { gateway: 1 }),
    openDemo(t, browsers[1], await newPeople({ consultant }), 'patient', { gateway: 0 }),
  ]);
  await call(called, talking, 'audio');

  await third.click('#call-audio');

  await assertEnded([third]);
  assert.equal(await third.textContent('#call-status'), 'Busy in another call');
  assert.equal(await called.locator('#incoming').isVisible(), false);
  await flowing(called, { video: false, relayed: false });
});
