// The document of the sockets is what every test holds to the wire: it has to refuse what it does not describe.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connectAndJoin, send } from '../lib/client.mjs';
import { wrongWith } from '../lib/described.mjs';
import { newConversation } from '../lib/directory.mjs';

test('an event or an acknowledgement that says something else is noticed', async (t) => {
  const { patient, conversationId } = await newConversation();
  const client = await connectAndJoin(t, patient, conversationId);
  const sent = await send(client, conversationId, 'Hello');
  const { content, ...less } = sent.message;
  const event = (data) => wrongWith('consult.hear.new_message', 'payload', data);
  const ack = (data) => wrongWith('consult.say.send_message', 'x-acknowledgement', data);

  assert.equal(event(sent), undefined);
  assert.notEqual(event({ ...sent, message: less }), undefined, 'a key is missing');
  assert.notEqual(event({ ...sent, message: { ...less, Content: content } }), undefined, 'renamed');
  assert.notEqual(event({ ...sent, more: 1 }), undefined, 'a key more');
  assert.notEqual(event({ ...sent, message: { ...less, content: 1 } }), undefined, 'of a type');
  assert.equal(ack({ event: 'message_sent', data: sent }), undefined);
  assert.notEqual(ack({ event: 'message_send', data: sent }), undefined);
  assert.notEqual(wrongWith('consult.hear.new_massage', 'payload', sent), undefined, 'unknown');
});
