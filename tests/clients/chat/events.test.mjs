// Every event of the consult protocol, section 4, over every transport, both ends on different
// gateways.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { connect, connectAndJoin, gateway, send, TRANSPORTS, WEBSOCKET } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { publicUrl } from '../lib/environment.mjs';
import { assertConversation, assertHas, assertMessage, assertRejected } from '../lib/shapes.mjs';

const WAYS = [
  ...TRANSPORTS.map((via) => ({ name: via.name, via, urls: [gateway(0), gateway(1)] })),
  { name: 'websocket through the public URL', via: WEBSOCKET, urls: [publicUrl, publicUrl] },
];

for (const { name, via, urls } of WAYS) {
  /** Two people in one conversation: `{…talk, consultant, patient}`, the last two connected. */
  const meet = async (t) => {
    const talk = await newConversation();
    const [consultant, patient] = await Promise.all([
      connectAndJoin(t, talk.consultant, talk.conversationId, { via, url: urls[0] }),
      connectAndJoin(t, talk.patient, talk.conversationId, { via, url: urls[1] }),
    ]);
    return { ...talk, consultant, patient };
  };

  describe(name, { concurrency: 4 }, () => {
    test('join_conversation is answered by joined_conversation', async (t) => {
      const { patient: user, conversationId } = await newConversation();
      const patient = await connect(t, user, { via, url: urls[0] });

      const answer = await patient.ask('join_conversation', {
        conversationId,
        userId: user.id,
        userType: user.role,
      });

      assert.deepEqual(answer, { event: 'joined_conversation', data: { conversationId } });
      assert.deepEqual(await patient.next('joined_conversation'), { conversationId });
    });

    test('join_conversation names the fields that it needs', async (t) => {
      const { patient: user, conversationId } = await newConversation();
      const patient = await connect(t, user, { via, url: urls[0] });
      const complete = { conversationId, userId: user.id, userType: user.role };

      for (const field of Object.keys(complete)) {
        const { [field]: _, ...incomplete } = complete;
        await assertRejected(patient, await patient.ask('join_conversation', incomplete), {
          event: 'join_conversation',
          code: 'invalid',
          message: 'Missing required fields: conversationId, userId, or userType',
        });
      }
    });

    test('leave_conversation is answered by left_conversation', async (t) => {
      const { patient, conversationId } = await meet(t);

      const answer = await patient.ask('leave_conversation', { conversationId });

      assert.deepEqual(answer, { event: 'left_conversation', data: { conversationId } });
      assert.deepEqual(await patient.next('left_conversation'), { conversationId });
    });

    test('send_message reaches both sides, and the sender gets new_message before message_sent', async (t) => {
      const { consultant, patient, conversationId, ids } = await meet(t);

      const answer = await consultant.ask('send_message', {
        conversationId,
        content: 'Hello, how are you?',
        senderType: 'consultant',
      });

      const sent = await consultant.next('message_sent');
      assertConversation(sent.conversation, ids);
      assert.equal(sent.conversation.id, conversationId);
      assertMessage(sent.message, {
        conversationId,
        sender: consultant.user,
        content: 'Hello, how are you?',
      });
      assert.deepEqual(answer, { event: 'message_sent', data: sent });
      assert.deepEqual(await consultant.next('new_message'), sent);
      assert.deepEqual(await patient.next('new_message'), sent);
      assert.deepEqual(
        consultant.names().filter((name) => name === 'new_message' || name === 'message_sent'),
        ['new_message', 'message_sent'],
      );
    });

    test('both sides can talk in turn', async (t) => {
      const { consultant, patient, conversationId } = await meet(t);

      for (let turn = 0; turn < 3; turn += 1) {
        await send(consultant, conversationId, `question ${turn}`);
        await patient.next('new_message', ({ message }) => message.content === `question ${turn}`);
        await send(patient, conversationId, `answer ${turn}`);
        await consultant.next('new_message', ({ message }) => message.content === `answer ${turn}`);
      }

      const told = (client) => client.all('new_message').map(({ message }) => message.seq);
      assert.deepEqual(told(consultant), [1, 2, 3, 4, 5, 6]);
      assert.deepEqual(told(patient), [1, 2, 3, 4, 5, 6]);
    });

    test('send_message without content or senderType is an error', async (t) => {
      const { patient, conversationId } = await meet(t);

      for (const incomplete of [{ content: 'Hello' }, { senderType: 'patient' }]) {
        const answer = await patient.ask('send_message', { conversationId, ...incomplete });
        await assertRejected(patient, answer, {
          event: 'send_message',
          code: 'invalid',
          message: 'Missing required fields',
        });
      }
    });

    test('typing_start and typing_stop reach the other side alone', async (t) => {
      const { consultant, patient, conversationId } = await meet(t);
      const typing = (client) => ({
        conversationId,
        userId: client.user.id,
        userType: client.user.role,
      });

      patient.emit('typing_start', typing(patient));
      assert.deepEqual(await consultant.next('user_typing'), typing(patient));
      patient.emit('typing_stop', { conversationId, userId: patient.user.id });
      assert.deepEqual(await consultant.next('user_stopped_typing'), {
        conversationId,
        userId: patient.user.id,
      });

      // What comes to the patient first is the consultant's, so the own events never came.
      consultant.emit('typing_start', typing(consultant));
      consultant.emit('typing_stop', { conversationId, userId: consultant.user.id });
      await patient.next('user_stopped_typing', ({ userId }) => userId === consultant.user.id);
      assert.deepEqual(patient.all('user_typing'), [typing(consultant)]);
      assert.equal(patient.all('user_stopped_typing').length, 1);
    });

    test('mark_read is confirmed to the reader and told to the other side', async (t) => {
      const { consultant, patient, conversationId } = await meet(t);
      const sent = [];
      for (const content of ['one', 'two', 'three']) {
        sent.push((await send(consultant, conversationId, content)).message.id);
      }
      const own = (await send(patient, conversationId, 'four')).message.id;
      const messageIds = sent.slice(0, 2);

      const answer = await patient.ask('mark_read', { conversationId, messageIds });

      assert.equal(answer.event, 'marked_as_read');
      assertHas(answer.data, { messageIds, success: true });
      assert.deepEqual(await patient.next('marked_as_read'), answer.data);
      assertHas(await consultant.next('messages_read'), { conversationId, messageIds });

      // The first messages_read that comes to the patient is the consultant's.
      consultant.emit('mark_read', { conversationId, messageIds: [own] });
      assertHas(await patient.next('messages_read'), { conversationId, messageIds: [own] });
      assert.equal(patient.all('messages_read').length, 1);
    });

    test('mark_read without messages is an error', async (t) => {
      const { patient, conversationId } = await meet(t);

      for (const incomplete of [
        { conversationId },
        { conversationId, messageIds: [] },
        { messageIds: [randomUUID()] },
      ]) {
        await assertRejected(patient, await patient.ask('mark_read', incomplete), {
          event: 'mark_read',
          code: 'invalid',
          message: 'Invalid data provided',
        });
      }
    });
  });
}
