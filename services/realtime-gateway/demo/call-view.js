// The call on the page: the incoming one, the running one, and how it ended.

import { play } from "./tones.js";
import { inWords } from "./words.js";

const TEXTS = {
  calling: "Calling",
  ringing: "Ringing",
  connecting: "Connecting",
};

const $ = (selector) => document.querySelector(selector);

/** Shows `call` with `other`; `notify(text)` tells of problems. */
export function showCall(call, other, notify) {
  const title = document.title;
  call.addEventListener("change", () => {
    showIncoming(call);
    showPanel(call);
    showMedia(call);
    play(toneOf(call));
    document.title = call.isIncoming ? `${other.name} is calling` : title;
  });
  call.addEventListener("missed", () => notify(`You missed a call from ${other.name}.`));
  call.addEventListener("problem", ({ detail }) => notify(inWords(detail)));

  $("#call-audio").addEventListener("click", () => call.start("audio"));
  $("#call-video").addEventListener("click", () => call.start("video"));
  $("#accept").addEventListener("click", () => call.accept());
  $("#decline").addEventListener("click", () => call.decline());
  $("#hang-up").addEventListener("click", () => call.hangUp());
  $("#mute").addEventListener("click", () => call.toggle("audio"));
  $("#camera").addEventListener("click", () => call.toggle("video"));
  // Neither answered nor declined by accident.
  $("#incoming").addEventListener("cancel", (event) => event.preventDefault());
  setInterval(() => showStatus(call), 1_000);
}

function toneOf(call) {
  if (call.state === "ended") return "end";
  if (call.state !== "ringing" || call.current.isSilent) return undefined;
  return call.isIncoming ? "ringtone" : "ringback";
}

function showIncoming(call) {
  const dialog = $("#incoming");
  if (call.isIncoming === dialog.open) return;
  if (!call.isIncoming) {
    dialog.close();
    return;
  }
  $("#incoming-type").textContent = call.current.type === "video" ? "Video call" : "Voice call";
  dialog.showModal();
}

function showPanel(call) {
  const panel = $("#call");
  panel.dataset.state = call.state;
  panel.dataset.type = call.current?.type ?? "";
  panel.hidden = call.state === "idle" || call.isIncoming;
  showToggle($("#mute"), call, "audio", "Unmute", "Mute");
  showToggle($("#camera"), call, "video", "Turn camera on", "Turn camera off");
  showStatus(call);
}

/** A button for a kind of media; without such media, there is none. */
function showToggle(button, call, kind, on, off) {
  const track = call.current?.stream?.getTracks().find((track) => track.kind === kind);
  const isOff = track !== undefined && !track.enabled;
  button.hidden = !track;
  button.ariaPressed = String(isOff);
  button.ariaLabel = isOff ? on : off;
  button.title = isOff ? on : off;
}

function showStatus(call) {
  const { state, current } = call;
  if (state === "idle") return;
  const length = current.since ? duration(Date.now() - current.since) : "";
  let text = TEXTS[state];
  if (state === "connected") text = current.isWeak ? "The connection is weak" : length;
  if (state === "ended") text = current.words;
  const status = $("#call-status");
  if (status.textContent !== text) status.textContent = text;
  // The clock is for the eye alone.
  status.ariaLive = state === "connected" && !current.isWeak ? "off" : "polite";
  const { stream, type } = current;
  const hasNoCamera = type === "video" && stream && stream.getVideoTracks().length === 0;
  $("#call-hint").hidden = !hasNoCamera;
}

function duration(ms) {
  const seconds = Math.floor(ms / 1_000);
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  return `${minutes}:${String(rest).padStart(2, "0")}`;
}

function showMedia(call) {
  const { remote, stream } = call.current ?? {};
  attach($("#remote"), remote);
  attach($("#local"), stream);
  const pictures = remote?.getVideoTracks() ?? [];
  // A picture comes when its first frames do, and may stop.
  for (const track of pictures) track.onmute = track.onunmute = () => showMedia(call);
  $("#call").dataset.remote = pictures.some((track) => !track.muted) ? "video" : "audio";
  $("#local").hidden = !stream?.getVideoTracks()[0]?.enabled;
}

function attach(video, stream = null) {
  if (video.srcObject !== stream) video.srcObject = stream;
}
