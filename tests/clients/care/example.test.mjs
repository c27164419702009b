// The care protocol's own examples, driven as an app would drive them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { clientWith, hookWith } from '../example/care-client.mjs';
import { publicUrl } from '../lib/environment.mjs';
import { mount, waiting } from '../lib/examples.mjs';
import { connectRoot, newAssociation } from '../lib/root.mjs';

process.env.CHAT_URL = publicUrl;

describe('the examples of care', () => {
  test('let a patient write to a doctor from a page', async (t) => {
    const { doctor: user, patient } = await newAssociation();
    const doctor = await connectRoot(t, user);
    const { changed, until } = waiting();
    const shown = [];
    const { socket, sendMessage, handleTyping } = clientWith({
      localStorage: { getItem: (key) => (key === 'jwt_token' ? patient.token : null) },
      displayMessage: (message) => {
        shown.push(message);
        changed();
      },
    });
    t.after(() => socket.close());

    handleTyping(user.id);
    assert.deepEqual(await doctor.next('typing_start'), { userId: patient.id });
    await doctor.next('typing_stopped');
    sendMessage(user.id, 'Hello doctor!');
    const { message } = await doctor.next('new_message');
    assert.equal(message.content, 'Hello doctor!');
    assert.deepEqual(
      [message.sender.fullname, message.receiver._id, message.isRead],
      [patient.name, user.id, false],
    );
    doctor.emit('send_message', { receiverId: patient.id, content: 'Good morning' });

    const reply = () => shown.find(({ content }) => content === 'Good morning');
    assert.equal((await until('the reply', reply)).sender._id, user.id);
  });

  test('let a doctor write to a patient from a hook', async (t) => {
    const { doctor, patient: user } = await newAssociation();
    const patient = await connectRoot(t, user);
    const hook = mount(hookWith, doctor.token);
    t.after(() => hook.unmount());
    // Not shown by the hook: what was said before is history.
    await new Promise((resolve) => hook.render().socket.once('connect', resolve));

    patient.emit('typing_start', { receiverId: doctor.id });
    patient.emit('send_message', { receiverId: doctor.id, content: 'Hello!' });
    const heard = () => hook.render().messages.find(({ content }) => content === 'Hello!');
    await hook.until('the message', heard);
    await hook.until('the end of typing', () => (hook.render().isTyping ? undefined : true));
    hook.render().sendMessage(user.id, 'Good morning');
    await patient.next('new_message', ({ message }) => message.content === 'Good morning');
  });
});
