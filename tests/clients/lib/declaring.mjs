// A gateway of the test's own, whose clinic lets clients in without a token. The system under test does
// not: it only answers this gateway.
import { clinic } from './environment.mjs';
import { ownGateway } from './own-gateway.mjs';

/** Starts it for the length of a test; returns its URL and what it logs. */
export const declaringGateway = (t) =>
  ownGateway(
    t,
    `[apps.clinic]\ndialect = "clinic"\nidentity = "declared"\n
     [[apps.clinic.keys]]\nalgorithm = "HS256"\nsecret = "${clinic.secret}"\n`,
  );
