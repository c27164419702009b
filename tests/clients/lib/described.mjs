// Holds what clients are told to the document of the sockets: an event, a key or a type that it does not
// describe fails the test that hears it. The names that other services choose (`notify`) are the exception, and a
// test says which it expects.
import process from 'node:process';

import { Ajv2020 } from 'ajv/dist/2020.js';

import { api } from './environment.mjs';

const document = await fetch(`${api}/async-docs.json`).then((answer) => answer.json());
forbidOthers(document);
const ajv = new Ajv2020({ strict: false, validateFormats: false, validateSchema: false });
ajv.addSchema(document, 'sockets');

/** The shapes of the protocol are minima; what is said beyond them is described all the same. */
function forbidOthers(schema) {
  if (schema.properties && schema.additionalProperties === undefined) {
    schema.additionalProperties = false;
  }
  for (const inner of Object.values(schema)) {
    if (inner && typeof inner === 'object') {
      forbidOthers(inner);
    }
  }
}

/** Returns what is wrong with a value that a message of the document describes, or nothing. */
export function wrongWith(id, part, value) {
  if (!document.components.messages[id]?.[part]) {
    return `${id} is not described`;
  }
  const path = `sockets#/components/messages/${id}/${part}`;
  const validate = ajv.getSchema(path) ?? ajv.compile({ $ref: path });
  return validate(value ?? null) ? undefined : ajv.errorsText(validate.errors);
}

const key = (channel, by, name) => `${channel}.${by}.${name.replaceAll(':', '.')}`;

/** Fails the test that is running, from wherever the library calls. */
function check(channels, by, name, part, value) {
  const wrong = channels.map((channel) => wrongWith(key(channel, by, name), part, value));
  if (wrong.every((it) => it !== undefined)) {
    const error = new Error(`${name} ${JSON.stringify(value)}: ${wrong.join(' or ')}`);
    process.nextTick(() => {
      throw error;
    });
  }
}

/** Checks an event that a client of one of these dialects hears. */
export const checkEvent = (dialects, name, data) => check(dialects, 'hear', name, 'payload', data);

/** Checks the acknowledgement of a client's event; with another `part`, the answer at `/ws`. */
export function checkAnswer(dialects, name, data, part = 'x-acknowledgement') {
  const known = dialects.filter((it) => document.components.messages[key(it, 'say', name)]);
  if (known.length > 0) {
    check(known, 'say', name, part, data);
  }
}

/** Returns the dialects that a client may speak: that of its user's app, else those of its namespace. */
export const dialectsOf = (user, namespace) => {
  const own = user?.app?.dialect;
  return own ? [own] : namespace === '/chat' ? ['consult'] : ['care', 'clinic', 'booking'];
};
