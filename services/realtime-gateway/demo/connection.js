// One Socket.IO connection for the whole page, the state it is in, and REST beside it.
//
//   const connection = new Connection(token);
//   connection.addEventListener("change", () => console.log(connection.state));

import { io } from "./vendor/socket.io.esm.min.js";
import { Refusal } from "./words.js";

const PATIENCE_MS = 10_000;

export class Connection extends EventTarget {
  /** `connecting`, `connected`, or `offline`: the last attempt failed. */
  state = "connecting";
  #token;

  constructor(token) {
    super();
    this.#token = token;
    // Reconnecting is the library's work; catching up afterwards is ours, see chat.js.
    this.socket = io("/chat", { auth: { token }, transports: ["websocket", "polling"] });
    this.socket.on("connect", () => this.#move("connected"));
    this.socket.on("disconnect", () => this.#lost("connecting"));
    this.socket.on("connect_error", (error) => this.#lost("offline", error));
  }

  /**
   * Sends an event and returns the data of the answer. Throws a `Refusal` when the server refuses,
   * and another error when it does not answer: then nobody knows whether it was done.
   */
  async request(event, payload) {
    const answer = await this.socket.timeout(PATIENCE_MS).emitWithAck(event, payload);
    if (answer.event === "error") throw new Refusal(answer.data);
    return answer.data;
  }

  /** Hears an event of one conversation; those of all others arrive on the same socket. */
  listen(conversationId, event, handler) {
    this.socket.on(event, (payload) => {
      const about = payload.message?.conversationId ?? payload.conversationId;
      if (about === conversationId) handler(payload);
    });
  }

  /** Fetches JSON from the REST API; `null` when there is no such thing. */
  async get(path) {
    const response = await fetch(`/api/v1/chat/${path}`, {
      headers: { Authorization: `Bearer ${this.#token}`, "X-Client-Type": "web" },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`The server answered ${response.status}. Please try again.`);
    return response.json();
  }

  #lost(state, error) {
    // An inactive socket was refused or sent away for good: the library will not come back.
    this.#move(this.socket.active ? state : "offline");
    if (!this.socket.active) {
      const problem = error?.data ? { ...error.data, message: error.message } : error;
      this.dispatchEvent(new CustomEvent("refused", { detail: problem }));
    }
  }

  #move(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
