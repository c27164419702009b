// The browser and the system under test.
//
// Nothing here starts a service: `cargo xtask test` does, or `cargo xtask up`.
import process from 'node:process';

export * from '../../clients/lib/environment.mjs';

const HELP = `CHAT_CHROMIUM names no browser. One for these tests, fetched if there is none:
  export CHAT_CHROMIUM=$(cargo xtask chromium)`;

/** The executable of Chromium, or of its headless shell. */
export const chromiumPath = process.env.CHAT_CHROMIUM;
if (!chromiumPath) {
  console.error(HELP);
  process.exit(1);
}
