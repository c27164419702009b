// What other services are told of calls, presence and messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { initiate, ring, say } from '../lib/calls.mjs';
import { connect, connectAndJoin, gateway, send } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { listenToOut } from '../lib/out.mjs';

const about = (name, id) => (event) =>
  event.event === name && Object.values(event.data).includes(id);

test('a call to somebody without a device is pushed, and the push is taken back', async (t) => {
  const out = await listenToOut(t);
  const { consultant, patient, conversationId } = await newConversation();
  const caller = await connect(t, consultant, { url: gateway(0) });

  initiate(caller, patient, conversationId);
  const { callId } = await caller.next('call:ringing');
  const push = await out.next(about('push.call', callId));
  say(caller, 'end', patient);
  const cancelled = await out.next(about('push.call_cancelled', callId));

  assert.equal(push.subject, 'chat.v1.out.consult.push.call');
  assert.equal(push.data.userId, patient.id);
  assert.equal(push.data.callerName, consultant.name);
  assert.equal(cancelled.data.userId, patient.id);
  assert.equal(cancelled.data.outcome, 'cancelled');
});

test('a call to somebody with a device is not pushed, but told', async (t) => {
  const out = await listenToOut(t);
  const talk = await newConversation();
  const caller = await connect(t, talk.consultant, { url: gateway(0) });
  const callee = await connect(t, talk.patient, { url: gateway(1) });
  await caller.next('presence.changed', ({ userId }) => userId === talk.patient.id);

  const callId = await ring({ ...talk, caller, callee });
  say(callee, 'reject', talk.consultant);
  const over = await out.next(about('call.rejected', callId));

  assert.equal(over.data.calleeId, talk.patient.id);
  await out.next(about('call.ringing', callId));
  const pushes = out.heard.filter(({ event }) => event.startsWith('push.'));
  assert.deepEqual(
    pushes.filter(({ data }) => data.callId === callId),
    [],
  );
});

test('other services hear who comes, and read nothing that was written', async (t) => {
  const out = await listenToOut(t);
  const { patient, conversationId } = await newConversation();

  const phone = await connect(t, patient, { url: gateway(1) });
  await phone.ask('send_message', {
    conversationId,
    content: 'a secret for two',
    senderType: 'patient',
  });
  const came = await out.next(about('presence.changed', patient.id));

  assert.deepEqual(came.data, { userId: patient.id, isOnline: true, status: 'available' });
  assert.doesNotMatch(JSON.stringify(out.heard), /a secret/);
});

test('a message is told, and pushed to whom no device of is there', async (t) => {
  const out = await listenToOut(t);
  const { consultant, patient, conversationId } = await newConversation();
  const made = await out.next(about('conversation.created', conversationId));
  const phone = await connect(t, patient, { url: gateway(0) });

  const { message } = await send(phone, conversationId, 'a secret for two');
  const told = ({ event, data }) =>
    event === 'message.created' && data.messages.some(({ messageId }) => messageId === message.id);
  await out.next(told);
  const push = await out.next(about('push.message', message.id));
  const laptop = await connectAndJoin(t, consultant, conversationId, { url: gateway(1) });
  laptop.emit('mark_read', { conversationId, messageIds: [message.id] });
  const read = await out.next(about('message.read', conversationId));
  const second = await send(phone, conversationId, 'another secret');
  await out.next(({ event, data }) =>
    event === 'message.created' &&
    data.messages.some(({ messageId }) => messageId === second.message.id),
  );

  assert.equal(made.data.participants.length, 2);
  assert.equal(push.data.userId, consultant.id);
  assert.equal(push.data.senderName, patient.name);
  assert.deepEqual(read.data.messageIds, [message.id]);
  assert.deepEqual(out.heard.filter(about('push.message', second.message.id)), []);
  assert.doesNotMatch(JSON.stringify(out.heard), /secret/);
});
