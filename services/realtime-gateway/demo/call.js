// A call: ringing, answering, hanging up, and what both sides signal to each other. Knows nothing of
// the page, which hears `change`, `missed` and `problem`.
//
// The server decides what becomes of a call. The caller's offer may go out at once: the server keeps
// it until a device accepts, and gives it to that device alone.

import { closeMedia, openMedia } from "./media.js";
import { Peer } from "./peer.js";
import { endInWords } from "./words.js";

const CONNECT_MS = 20_000;
const SHOW_END_MS = 4_000;

export class Call extends EventTarget {
  /** `idle`, `calling`, `ringing`, `connecting`, `connected` or `ended`. */
  state = "idle";
  /** What is known of the call, in every state but `idle`. */
  current;
  #connection;
  #other;
  #conversationId;
  #iceTransportPolicy;
  #timer;

  constructor(connection, other, conversationId, iceTransportPolicy) {
    super();
    this.#connection = connection;
    this.#other = other;
    this.#conversationId = conversationId;
    this.#iceTransportPolicy = iceTransportPolicy;
    this.#listen();
  }

  /** The browser's media connection, or `null`. */
  get peer() {
    return this.current?.peer?.connection ?? null;
  }

  get isLive() {
    return this.state !== "idle" && this.state !== "ended";
  }

  get isIncoming() {
    return this.state === "ringing" && !this.current.isCaller;
  }

  /** Calls the other side; `type` is `video` or `audio`. */
  async start(type) {
    if (this.isLive) return;
    const call = { type, isCaller: true };
    this.#begin("calling", call);
    try {
      await this.#prepare(call);
    } catch (error) {
      if (this.current === call) this.#giveUp(error);
    }
    if (!call.peer) return;
    this.#emit("call:initiate", { conversationId: this.#conversationId, callType: type });
    call.peer.offer((offer) => this.#emit("webrtc:offer", { offer }));
  }

  /** Answers the call that rings. */
  async accept() {
    if (!this.isIncoming) return;
    const call = this.current;
    this.#move("connecting");
    try {
      await this.#prepare(call);
    } catch (error) {
      if (this.current !== call) return;
      this.#move("ringing");
      this.#tell("problem", error);
    }
    // The offer comes when the server has accepted, and to no other device.
    if (call.peer) this.#emit("call:accept");
  }

  decline() {
    if (!this.isIncoming) return;
    this.#emit("call:reject", { reason: "Declined" });
    this.#end("Declined");
  }

  hangUp() {
    if (this.isLive) this.#leave("Call ended");
  }

  /** Turns `audio` or `video` of this side off, or on again. */
  toggle(kind) {
    for (const track of this.current?.stream?.getTracks() ?? []) {
      if (track.kind === kind) track.enabled = !track.enabled;
    }
    this.#tell("change");
  }

  #listen() {
    const { socket } = this.#connection;
    const on = (event, handler) =>
      socket.on(event, (payload = {}) => {
        const { callId } = payload;
        // Late news of another call; whose id we do not know yet, we take for this one.
        if (!this.isLive || (callId && this.current.id && callId !== this.current.id)) return;
        this.current.id ??= callId;
        handler(payload);
      });
    socket.on("call:incoming", (payload) => this.#rings(payload));
    socket.on("call:missed", () => this.#tell("missed"));
    socket.on("error", (error) => this.#refused(error));
    on("call:ringing", () => this.state === "calling" && this.#move("ringing"));
    on("call:stop-ringing", () => this.#silence());
    on("call:accepted", () => this.#accepted());
    on("call:connected", () => this.#accepted());
    on("call:rejected", ({ reason }) => this.#end(endInWords(reason)));
    on("call:no-answer", () => this.#end("No answer"));
    on("call:missed", () => this.isIncoming && this.#end("Missed call"));
    on("call:ended", ({ reason }) => this.#end(endInWords(reason)));
    on("webrtc:offer", ({ offer }) => this.#answer(offer));
    on("webrtc:answer", ({ answer }) => this.current.peer?.accept(answer));
    on("webrtc:ice-candidate", ({ candidate }) => this.current.peer?.candidate(candidate));
  }

  #rings({ callId, callType, conversationId }) {
    // Whoever is calling each other at this moment gets connected by the server.
    if (this.isLive || conversationId !== this.#conversationId) return;
    this.#begin("ringing", { id: callId, type: callType, isCaller: false });
  }

  #accepted() {
    if (this.state !== "calling" && this.state !== "ringing" && this.state !== "connecting") return;
    this.#move("connecting");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#leave("No connection could be made"), CONNECT_MS);
  }

  #silence() {
    this.current.isSilent = true;
    this.#tell("change");
  }

  #refused(error) {
    if (!error.event?.startsWith("call:")) return;
    if (this.isLive && this.state !== "connected") this.#giveUp(error);
    else this.#tell("problem", error);
  }

  /** Gets devices and relays, then makes the connection; not if the call ended meanwhile. */
  async #prepare(call) {
    const relays = this.#connection.get("ice-servers").catch(() => null);
    const stream = await openMedia(call.type);
    const iceServers = (await relays)?.iceServers ?? [];
    if (this.current !== call) {
      closeMedia(stream);
      return;
    }
    call.stream = stream;
    call.configuration = { iceServers, iceTransportPolicy: this.#iceTransportPolicy };
    this.#connect(call);
  }

  #connect(call) {
    call.peer = new Peer(call.stream, call.type, call.configuration, {
      onCandidate: (candidate) => this.#emit("webrtc:ice-candidate", { candidate }),
      onStream: (remote) => this.#change({ remote }),
      onState: (state) => this.#peerMoved(state),
      onProblem: () => this.#leave("The call could not be set up"),
    });
    this.#tell("change");
  }

  #answer(offer) {
    const call = this.current;
    if (!call.peer) return;
    if (call.isCaller) {
      // Both called each other, and the server chose the other side's offer. Ours is given up with
      // its connection: after a rollback, some browsers do not play what they receive.
      call.peer.close();
      this.#connect(call);
    }
    call.peer.answer(offer, (answer) => this.#emit("webrtc:answer", { answer }));
  }

  #peerMoved(state) {
    this.#change({ isWeak: state === "disconnected" });
    if (state === "failed") this.#leave("The connection broke");
    if (state !== "connected" || this.state === "connected") return;
    clearTimeout(this.#timer);
    this.current.since = Date.now();
    this.#move("connected");
  }

  #leave(words) {
    // While the caller's devices are opened, there is no call yet.
    if (!this.current.isCaller || this.current.peer) this.#emit("call:end");
    this.#end(words);
  }

  #begin(state, call) {
    clearTimeout(this.#timer);
    this.current = call;
    this.#move(state);
  }

  /** There will be no call. */
  #giveUp(error) {
    this.#close();
    this.#move("idle");
    this.#tell("problem", error);
  }

  #end(words) {
    this.#close(words);
    this.#move("ended");
    this.#timer = setTimeout(() => this.#move("idle"), SHOW_END_MS);
  }

  /** Leaves of a call what there is to show of it. */
  #close(words) {
    const { type, peer, stream } = this.current;
    clearTimeout(this.#timer);
    peer?.close();
    closeMedia(stream);
    this.current = { type, words };
  }

  #emit(event, payload) {
    const about = { toUserId: this.#other.id, callId: this.current.id };
    this.#connection.socket.emit(event, { ...about, ...payload });
  }

  #change(what) {
    Object.assign(this.current, what);
    this.#tell("change");
  }

  #move(state) {
    this.state = state;
    this.#tell("change");
  }

  #tell(event, detail) {
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }
}
