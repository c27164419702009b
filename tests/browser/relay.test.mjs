// Whether a browser gets a relay for what the system tells it, and for nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newUser } from '../clients/lib/directory.mjs';
import { as } from '../clients/lib/rest.mjs';
import { LIMITS, launch, newPage } from './lib/browser.mjs';

const browser = await launch();

/** The TURN server that a user is told of. */
async function turnServer() {
  const { data } = await as(await newUser('patient')).get('/chat/ice-servers');
  return data.iceServers.find(({ credential }) => credential);
}

/** What a browser finds when nothing but a relay will do: kinds of candidates, codes of errors. */
function gather(iceServers) {
  const peer = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
  const found = { candidates: [], errors: [] };
  return new Promise((resolve, reject) => {
    peer.onicecandidate = ({ candidate }) => candidate && found.candidates.push(candidate.type);
    peer.onicecandidateerror = ({ errorCode }) => found.errors.push(errorCode);
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve(found);
    peer.createDataChannel('nothing');
    peer.setLocalDescription().catch(reject);
  }).finally(() => peer.close());
}

test('a browser gets a relay over UDP and over TCP', LIMITS, async (t) => {
  const page = await newPage(t, browser);
  const turn = await turnServer();

  const transports = turn.urls.map((url) => new URLSearchParams(url.split('?')[1]).get('transport'));
  assert.deepEqual(transports, ['udp', 'tcp']);
  for (const url of turn.urls) {
    const { candidates } = await page.evaluate(gather, [{ ...turn, urls: [url] }]);
    // One for each network of the machine.
    assert.deepEqual(new Set(candidates), new Set(['relay']), url);
  }
});

test('a browser gets no relay for another password', LIMITS, async (t) => {
  const page = await newPage(t, browser);
  const turn = await turnServer();

  const { candidates, errors } = await page.evaluate(gather, [{ ...turn, credential: 'guessed' }]);

  assert.deepEqual(candidates, []);
  assert.ok(errors.includes(401), `errors ${errors}`);
});
