// The REST of the care dialect beside its sockets: what is sent or read by one is heard at the other.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { care } from '../lib/environment.mjs';
import { connectRoot, newAssociation, newPerson, restOf } from '../lib/root.mjs';

describe('REST of care', { concurrency: 4 }, () => {
  test('a message that is posted reaches the sockets of both', async (t) => {
    const { doctor, patient } = await newAssociation();
    const sockets = [await connectRoot(t, doctor), await connectRoot(t, patient)];

    const { status, data } = await restOf(patient).post('/users/send-message', {
      doctorId: doctor.id,
      content: 'Hello doctor!',
    });

    assert.equal(status, 201);
    for (const socket of sockets) {
      const { message } = await socket.next('new_message');
      assert.equal(message._id, data.data._id);
      assert.equal(message.sender.fullname, patient.name);
    }
  });

  test('a read that is put is heard by the sender', async (t) => {
    const { doctor, patient } = await newAssociation();
    await restOf(patient).post('/users/send-message', { doctorId: doctor.id, content: 'hi' });
    const atPatient = await connectRoot(t, patient);

    const { data } = await restOf(doctor).put(`/chat/conversations/${patient.id}/read`);

    assert.deepEqual(data, { success: true, message: 'Messages marked as read' });
    assert.equal((await atPatient.next('messages_read')).userId, doctor.id);
  });

  test('lists, counts and pages agree', async (t) => {
    const { doctor, patient } = await newAssociation();
    for (const content of ['1', '2', '3']) {
      await restOf(patient).post('/users/send-message', { doctorId: doctor.id, content });
    }

    const list = await restOf(doctor).get('/chat/conversations');
    const unread = await restOf(doctor).get('/chat/unread-count');
    const page = await restOf(doctor).get(`/doctors/patients/${patient.id}/messages?limit=2`);
    const found = await restOf(doctor).get(`/chat/search?query=${patient.email}`);

    const [{ otherUser, lastMessage, unreadCount }] = list.data.data;
    assert.deepEqual([otherUser._id, lastMessage.content, unreadCount], [patient.id, '3', 3]);
    assert.equal(unread.data.data.unreadCount, 3);
    assert.deepEqual(
      page.data.data.map(({ content }) => content),
      ['2', '3'],
    );
    assert.equal(found.data.data.length, 1);
  });

  test('who is online is told to associated users alone', async (t) => {
    const { doctor, patient } = await newAssociation();
    const stranger = await newPerson(care, 'patient');
    await connectRoot(t, doctor);
    const online = async (user) => {
      const body = { userIds: [doctor.id] };
      const { data } = await restOf(user).post('/chat/online-status', body);
      return data.data[0].isOnline;
    };

    while (!(await online(patient))) {
      await new Promise(setImmediate);
    }

    assert.equal(await online(stranger), false);
  });
});
