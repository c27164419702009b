// Ringing without sound files: a low, slow tone for who calls, a bright melody for who is called.

const TONES = {
  // As telephones sound to the caller: one second of two low tones, then a pause.
  ringback: { everyMs: 4_000, type: "sine", notes: [[440, 0, 1.1], [480, 0, 1.1]], gain: 0.05 },
  // Rising and falling chimes.
  ringtone: {
    everyMs: 2_600,
    type: "triangle",
    notes: [[659, 0, 0.5], [831, 0.16, 0.5], [988, 0.32, 0.7], [831, 0.72, 0.5], [988, 0.88, 1]],
    gain: 0.12,
  },
  end: { type: "sine", notes: [[440, 0, 0.18], [330, 0.2, 0.3]], gain: 0.05 },
};

let context;
let output;
let playing;
let timer;

/** Plays `ringback`, `ringtone` or `end` until told otherwise; `undefined` is silence. */
export function play(name) {
  if (name === playing) return;
  playing = name;
  clearInterval(timer);
  silence();
  const tone = TONES[name];
  if (!tone) return;
  once(tone);
  if (tone.everyMs) timer = setInterval(() => once(tone), tone.everyMs);
}

/** Browsers let a page sound only after the person has touched it: call this for each touch. */
export function unlock() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
}

function silence() {
  // Fades quickly: cut off, it would click.
  output?.gain.setTargetAtTime(0, context.currentTime, 0.02);
  output = undefined;
}

function once({ type, notes, gain }) {
  if (context?.state !== "running") return;
  if (!output) {
    output = context.createGain();
    output.gain.value = gain;
    output.connect(context.destination);
  }
  for (const [frequency, start, length] of notes) {
    const from = context.currentTime + start;
    const oscillator = new OscillatorNode(context, { type, frequency });
    const envelope = context.createGain();
    envelope.gain.setValueAtTime(0, from);
    envelope.gain.linearRampToValueAtTime(1, from + 0.02);
    envelope.gain.setTargetAtTime(0, from + length * 0.4, length * 0.2);
    oscillator.connect(envelope).connect(output);
    oscillator.start(from);
    oscillator.stop(from + length * 1.6);
  }
}
