// The demo page as people use it: two of them, new for each test, each in a browser of their own.
import { newConversation } from '../../clients/lib/directory.mjs';
import { DESKTOP, newPage, shown } from './browser.mjs';
import { gateways, publicUrl } from './environment.mjs';

/** Two people, new unless given, with a conversation: what the page gets to know as `people.json`. */
export async function newPeople(given) {
  const { consultant, patient, conversationId } = await newConversation(given);
  return { people: [consultant, patient], conversation: conversationId };
}

/**
 * Opens the page as the person with `role`, and waits until it is connected. `gateway` is the number
 * of the one that its socket goes to, else whichever the load balancer takes.
 */
export async function openDemo(t, browser, people, role, { device = DESKTOP, gateway, ice } = {}) {
  const page = await newPage(t, browser, device);
  const url = gateway === undefined ? publicUrl : gateways[gateway].url;
  await page.route('**/demo/people.json', (route) => route.fulfill({ json: people }));
  if (url !== publicUrl) {
    // What the load balancer does: REST goes to the stores.
    await page.route('**/api/**', (route) => {
      const { pathname, search } = new URL(route.request().url());
      return route.continue({ url: publicUrl + pathname + search });
    });
  }
  const search = new URLSearchParams({ user: role, ...(ice && { ice }) });
  await page.goto(`${url}/demo?${search}`);
  await shown(page, '#connection[data-state=connected]');
  return page;
}

/** Writes `text` and sends it. */
export async function say(page, text) {
  await page.fill('#composer', text);
  await page.click('#send');
}

/** Waits for the message with that text, from this person or the other one, in one of `states`. */
export function message(page, text, { mine, states = ['sent', 'delivered', 'read'] }) {
  const selectors = states.map((state) => `.message[data-mine=${mine}][data-state=${state}]`);
  return page.locator(selectors.join(), { hasText: text }).waitFor();
}
