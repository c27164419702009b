// Files that users attach, from the announcement to the bytes, in every dialect.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, connectAndJoin, gateway, send } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { as } from '../lib/rest.mjs';
import { connectRoot, newAssociation, newBooking, newStaff, restOf } from '../lib/root.mjs';

const PNG = Buffer.from('89504e470d0a1a0a0000', 'hex');
const FILE = { fileName: 'look.png', contentType: 'image/png', size: PNG.length };

async function upload({ status, data }, urlKey = 'uploadUrl', idKey = 'attachmentId') {
  assert.ok(status === 200 || status === 201, JSON.stringify(data));
  const { [urlKey]: url, [idKey]: id, method } = data;
  const put = await fetch(url, { method, body: PNG });
  assert.equal(put.status, 204);
  return id;
}

/** Checks who gets the bytes at `url`. */
async function reaches(url, reader, stranger) {
  const read = (user) => fetch(url, { headers: { authorization: `Bearer ${user.token}` } });
  const got = await read(reader);
  assert.equal(got.status, 200);
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), PNG);
  assert.equal(got.headers.get('content-type'), 'image/png');
  assert.match(got.headers.get('content-disposition'), /^attachment/);
  assert.equal(got.headers.get('x-content-type-options'), 'nosniff');
  assert.equal((await read(stranger)).status, 403);
  assert.equal((await fetch(url)).status, 401);
}

test('consult: a picture goes from one to the other, and to nobody else', async (t) => {
  const { consultant, patient, conversationId } = await newConversation();
  const stranger = (await newConversation()).patient;
  const reader = await connect(t, consultant, { url: gateway(0) });
  const sender = await connectAndJoin(t, patient, conversationId, { url: gateway(1) });

  const path = `/chat/conversations/${conversationId}/attachments`;
  const attachmentId = await upload(await as(patient).post(path, FILE));
  const { message } = await send(sender, conversationId, '', { attachmentId, messageType: 'image' });
  const heard = await reader.next('new_message');

  assert.equal(heard.message.fileUrl, message.fileUrl);
  assert.equal(heard.message.fileName, 'look.png');
  await reaches(message.fileUrl, consultant, stranger);
});

test('care: a picture goes from one to the other, and to nobody else', async (t) => {
  const { doctor, patient } = await newAssociation();
  const stranger = (await newAssociation()).patient;
  const reader = await connectRoot(t, doctor, { url: gateway(0) });
  const sender = await connectRoot(t, patient, { url: gateway(1) });

  const path = `/chat/conversations/${doctor.id}/attachments`;
  const { status, data } = await restOf(patient).post(path, FILE);
  const attachmentId = await upload({ status, data: data.data });
  sender.emit('send_message', {
    receiverId: doctor.id,
    content: '',
    messageType: 'image',
    attachmentId,
  });
  const { message } = await reader.next('new_message');

  assert.equal(message.fileName, 'look.png');
  await reaches(message.fileUrl, doctor, stranger);
  // A file elsewhere is of a type that the documents name, too.
  sender.emit('send_message', {
    receiverId: doctor.id,
    content: '',
    messageType: 'file',
    fileUrl: 'https://files.example/run.exe',
  });
  assert.equal((await sender.next('error')).message, 'file type is not allowed');
});

test('clinic: a picture goes from one to the other, and to nobody else', async (t) => {
  const { doctor, admin } = await newStaff();
  const stranger = (await newStaff()).doctor;
  const reader = await connectRoot(t, doctor, { url: gateway(0) });
  const sender = await connectRoot(t, admin, { url: gateway(1) });

  const announced = await restOf(admin).post('/api/attachments', {
    receiver_email: doctor.id,
    file_name: 'look.png',
    content_type: 'image/png',
    size: PNG.length,
  });
  const attachment_id = await upload(announced, 'upload_url', 'attachment_id');
  sender.emit('send_message', { receiver_email: doctor.id, content: '', attachment_id });
  const message = await reader.next('receive_message');

  assert.deepEqual([message.file_name, message.message_type], ['look.png', 'file']);
  await reaches(message.file_url, doctor, stranger);
});

test('booking: a picture goes from one to the other, and to nobody else', async (t) => {
  const { owner, client, bookingId } = await newBooking();
  const stranger = (await newBooking()).client;
  const reader = await connectRoot(t, owner, { url: gateway(0) });
  await reader.ask('joinBooking', bookingId);
  const sender = await connectRoot(t, client, { url: gateway(1) });

  const path = `/api/messages/booking/${bookingId}/attachments`;
  const attachmentId = await upload(await restOf(client).post(path, FILE));
  sender.emit('sendMessage', { bookingId, content: '', attachmentId, senderType: 'client' });
  const message = await reader.next('newMessage');

  assert.equal(message.fileName, 'look.png');
  await reaches(message.fileUrl, owner, stranger);
});
