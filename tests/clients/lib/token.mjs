// JSON Web Tokens, signed by hand: what another service hands its users, and forgeries of it.
import { createHmac } from 'node:crypto';

import { app } from './environment.mjs';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Returns the present time in the unit of `exp`. */
export const seconds = () => Math.floor(Date.now() / 1000);

/** Signs `claims` as they are with HS256; `header` and `secret` can be made wrong. */
export function sign(claims, { header = { alg: 'HS256', typ: 'JWT' }, secret = app.secret } = {}) {
  const body = `${encode(header)}.${encode(claims)}`;
  const signature = createHmac('sha256', secret).update(body).digest('base64url');
  return `${body}.${signature}`;
}

/** Returns a token for a user that is good for `ttl` seconds. */
export function tokenOf({ id, role, name, email }, { ttl = 3600, secret } = {}) {
  return sign({ sub: id, role, name, email, exp: seconds() + ttl }, { secret });
}
