// Files that users attach, from the announcement to the bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, connectAndJoin, gateway, send } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { as } from '../lib/rest.mjs';

const PNG = Buffer.from('89504e470d0a1a0a0000', 'hex');

test('a picture goes from one to the other, and to nobody else', async (t) => {
  const { consultant, patient, conversationId } = await newConversation();
  const stranger = (await newConversation()).patient;
  const reader = await connect(t, consultant, { url: gateway(0) });
  const sender = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });

  const announced = await as(patient).post(`/chat/conversations/${conversationId}/attachments`, {
    fileName: 'look.png',
    contentType: 'image/png',
    size: PNG.length,
  });
  assert.equal(announced.status, 201, JSON.stringify(announced.data));
  const { attachmentId, uploadUrl, method } = announced.data;
  const put = await fetch(uploadUrl, { method, body: PNG });
  assert.equal(put.status, 204);
  const { message } = await send(sender, conversationId, '', { attachmentId, messageType: 'image' });
  const heard = await reader.next('new_message');

  assert.equal(heard.message.fileUrl, message.fileUrl);
  assert.equal(heard.message.fileName, 'look.png');
  const read = (user) => fetch(message.fileUrl, { headers: { authorization: `Bearer ${user.token}` } });
  const got = await read(consultant);
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), PNG);
  assert.match(got.headers.get('content-disposition'), /^attachment/);
  assert.equal((await read(stranger)).status, 403);
  assert.equal((await fetch(message.fileUrl)).status, 401);
});
