// What really flows between two browsers, by their own account.
import { eventually } from './browser.mjs';

/** What the page's connection has received, what of it is shown, and the way it took. */
async function measure() {
  const { peer } = window.demo;
  const stats = peer ? await peer.getStats() : new Map();
  const all = [...stats.values()];
  const inbound = (kind) => all.find((one) => one.type === 'inbound-rtp' && one.kind === kind);
  const transport = all.find(({ type }) => type === 'transport');
  const pair = stats.get(transport?.selectedCandidatePairId);
  const ends = [pair?.localCandidateId, pair?.remoteCandidateId];
  return {
    state: peer?.connectionState,
    frames: inbound('video')?.framesDecoded ?? 0,
    packets: inbound('audio')?.packetsReceived ?? 0,
    shownSeconds: document.querySelector('#remote').currentTime,
    way: ends.map((id) => stats.get(id)?.candidateType),
  };
}

/**
 * Waits until sound arrives and is played; with `video`, until pictures are decoded, too. Media must
 * go through relays on both sides if `relayed`, and through none if not.
 */
export function flowing(page, { video, relayed }) {
  const isFlowing = ({ state, frames, packets, shownSeconds, way }) =>
    state === 'connected' &&
    packets > 0 &&
    shownSeconds > 0 &&
    (!video || frames > 5) &&
    way.every((type) => type && (type === 'relay') === relayed);
  return eventually(() => page.evaluate(measure), isFlowing, 'media');
}
