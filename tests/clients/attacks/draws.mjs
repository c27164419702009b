// What the properties of authorisation share: numbers that are the same each time, and a verdict.
import assert from 'node:assert/strict';

/** Numbers that are the same each time. */
export function* dice() {
  for (let state = 17n; ; ) {
    state = (state * 6364136223846793005n + 1n) % (1n << 64n);
    yield Number(state >> 33n);
  }
}

/** How what one may not do is refused: not because it was too much or could not be done. */
const REFUSALS = [400, 403, 404, 'unauthorized', 'not_found', 'invalid'];

/** Compares what was allowed with what may be, and returns whether it was. */
export function judge({ allowed, refusal }, may, what) {
  assert.equal(allowed, may, `${what}: ${refusal}`);
  if (!may) assert.ok(REFUSALS.includes(refusal), `${what}: ${refusal}`);
  return allowed;
}
