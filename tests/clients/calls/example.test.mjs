// The protocol's own example with video calling, driven as an app would drive it. The browser's part
// is played by stand-ins that only remember what they were told.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { tsImport } from 'tsx/esm/api';

import { initiate, say, signal } from '../lib/calls.mjs';
import { connect } from '../lib/client.mjs';
import { newConversation } from '../lib/directory.mjs';
import { publicUrl } from '../lib/environment.mjs';
import { DEADLINE_MS } from '../lib/rest.mjs';

process.env.CHAT_URL = publicUrl;
const { ChatService } = await tsImport('../example/call-service.ts', import.meta.url);

/** What the class says on the console, which is all that it shows of what it hears. */
function listen(t) {
  const lines = [];
  const looks = new Set();
  t.mock.method(console, 'log', (...words) => {
    lines.push(words);
    looks.forEach((look) => look());
  });
  return (what) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come`)), DEADLINE_MS);
      const look = () => {
        const at = lines.findIndex(([first]) => first === what);
        if (0 <= at) {
          clearTimeout(timer);
          looks.delete(look);
          resolve(lines.splice(at, 1)[0][1]);
        }
      };
      looks.add(look);
      look();
    });
}

/** Puts a browser's globals in place; returns the peer connections that will be made. */
function browser(t) {
  const connections = [];
  class RTCPeerConnection {
    remote = [];
    closed = false;

    constructor() {
      connections.push(this);
    }
    addTrack() {}
    async createOffer() {
      return { type: 'offer', sdp: 'the offer' };
    }
    async createAnswer() {
      return { type: 'answer', sdp: 'the answer' };
    }
    async setLocalDescription() {
      this.onicecandidate({ candidate: { candidate: 'a candidate', sdpMLineIndex: 0 } });
      this.onicecandidate({ candidate: null });
    }
    async setRemoteDescription(description) {
      this.remote.push(description);
    }
    async addIceCandidate(candidate) {
      this.remote.push(candidate);
    }
    close() {
      this.closed = true;
    }
  }
  class Audio {
    async play() {}
    pause() {}
  }
  const track = { stop() {} };
  const mediaDevices = { getUserMedia: async () => ({ getTracks: () => [track] }) };
  const fakes = { RTCPeerConnection, Audio, navigator: { mediaDevices } };
  for (const [name, value] of Object.entries(fakes)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true });
    t.after(() =>
      before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name],
    );
  }
  return connections;
}

test('the ChatService of example 1 calls', async (t) => {
  const hears = listen(t);
  const connections = browser(t);
  const { consultant, patient, conversationId } = await newConversation();
  const callee = await connect(t, consultant);
  const service = new ChatService(patient.token);
  t.after(() => service.disconnect());

  // As in the example's usage: nothing is awaited.
  service.connect(patient.id, 'patient');
  service.joinConversation(conversationId, patient.id, 'patient');
  service.sendMessage(conversationId, 'Hello!', 'patient');
  service.initiateCall(consultant.id, conversationId, 'video');

  await hears('Call is ringing...');
  const { fromUserId, callType } = await callee.next('call:incoming');
  assert.deepEqual([fromUserId, callType], [patient.id, 'video']);
  say(callee, 'accept', patient);
  await callee.next('call:connected');
  const { offer } = await callee.next('webrtc:offer');
  assert.deepEqual(offer, { type: 'offer', sdp: 'the offer' });
  const { candidate } = await callee.next('webrtc:ice-candidate');
  assert.deepEqual(candidate, { candidate: 'a candidate', sdpMLineIndex: 0 });
  await hears('Call accepted');

  signal(callee, 'answer', patient, 'an answer');
  signal(callee, 'ice-candidate', patient, 'theirs');
  await hears('Received answer');
  await hears('Received ICE candidate');
  assert.deepEqual(connections[0].remote, [
    { type: 'answer', sdp: 'an answer' },
    { candidate: 'theirs' },
  ]);

  say(callee, 'end', patient);
  assert.equal(await hears('Call ended by:'), consultant.id);
  assert.ok(connections[0].closed);
});

test('the ChatService of example 1 is called', async (t) => {
  const hears = listen(t);
  const connections = browser(t);
  const { consultant, patient, conversationId } = await newConversation();
  const caller = await connect(t, consultant);
  const service = new ChatService(patient.token);
  t.after(() => service.disconnect());
  service.connect(patient.id, 'patient');
  await hears('Connected:');

  initiate(caller, patient, conversationId, 'audio');
  signal(caller, 'offer', patient, 'an offer');
  assert.equal(await hears('Incoming call from:'), consultant.id);
  service.rejectCall(consultant.id);
  assert.equal((await caller.next('call:rejected')).reason, 'Busy');

  signal(caller, 'offer', patient, 'another offer');
  initiate(caller, patient, conversationId, 'audio');
  await hears('Incoming call from:');
  await service.acceptCall(consultant.id, 'audio');
  await hears('Call connected');
  await hears('Received offer');
  const { answer } = await caller.next('webrtc:answer');
  assert.deepEqual(answer, { type: 'answer', sdp: 'the answer' });
  assert.deepEqual(connections[0].remote, [{ type: 'offer', sdp: 'another offer' }]);
  await caller.next('webrtc:ice-candidate');
});
