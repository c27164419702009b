// The system under test: the endpoints file that `cargo xtask up --endpoints FILE` writes.
//
// Nothing here starts or stops a service.
import { readFileSync } from 'node:fs';
import process from 'node:process';

const HELP = `CHAT_ENDPOINTS names no endpoints file: these tests need a running system.
  cargo xtask test                            sets one up and runs everything, this suite too
  cargo xtask up --ephemeral --gateways 8 --stores 3 --endpoints FILE
                                              keeps one running; then, in tests/clients:
  npm ci && CHAT_ENDPOINTS=FILE npm test`;

const file = process.env.CHAT_ENDPOINTS;
if (!file) {
  console.error(HELP);
  process.exit(1);
}

const endpoints = JSON.parse(readFileSync(file, 'utf8'));

/** What clients are told: the load balancer, without affinity. */
export const publicUrl = endpoints.public;

/** Every gateway: `{url, admin_url, pid}`. */
export const gateways = endpoints.gateways;

/** Every store: `{url, internal_url, admin_url, pid}`. */
export const stores = endpoints.stores;

/** The bearer token of the internal HTTP interface. */
export const serviceToken = endpoints.service_token;

/** The app that these tests belong to. */
export const app = { name: 'consult', ...endpoints.apps.consult };

/** An app in which a call rings for three seconds and a device may be gone for two. */
export const hasty = { name: 'hasty', ...endpoints.apps.hasty };

/** The apps of the other dialects, whose clients connect to the root namespace. */
export const [care, clinic, booking] = ['care', 'clinic', 'booking'].map((name) => ({
  name,
  ...endpoints.apps[name],
}));

/** Base of the REST interface. */
export const api = `${publicUrl}/api/v1`;

/** The broker and the state: `{url, pid}` each. */
export const { nats, redis } = endpoints;

/** By what each service is known to the broker: `{gateway, store, internal}`, each the seed of an nkey. */
export const natsSeeds = endpoints.nats_seeds;

/** The URL of the collector of traces that a test may be; empty when the services export none. */
export const { collector } = endpoints;

/** The relay of calls: `{url, secret, pid}`. */
export const relay = endpoints.turn;
