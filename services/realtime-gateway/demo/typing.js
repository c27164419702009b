// Who types: telling it and hearing it. What is lost here is never missed, so nothing is repeated.

const EVERY_MS = 3_000;
const ENDS_MS = 2_500;
const FADES_MS = 6_000;

export class Typing extends EventTarget {
  /** Whether the other side types; a `change` event tells when that changes. */
  isSomebody = false;
  #socket;
  #about;
  #since = 0;
  #endTimer;
  #fadeTimer;

  constructor(connection, me, conversationId) {
    super();
    this.#socket = connection.socket;
    this.#about = { conversationId, userId: me.id, userType: me.role };
    this.#socket.on("disconnect", () => this.hear(false));
    connection.listen(conversationId, "user_typing", () => this.hear(true));
    connection.listen(conversationId, "user_stopped_typing", () => this.hear(false));
  }

  /** Says that the person types; call it for every change of the text. */
  press() {
    if (Date.now() - this.#since > EVERY_MS) {
      this.#since = Date.now();
      this.#socket.volatile.emit("typing_start", this.#about);
    }
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(() => this.stop(), ENDS_MS);
  }

  /** Says that the person stopped, unless that is known. */
  stop() {
    clearTimeout(this.#endTimer);
    if (this.#since > 0) this.#socket.volatile.emit("typing_stop", this.#about);
    this.#since = 0;
  }

  /** Notes whether the other side types. A message from there is the end of it, too. */
  hear(isTyping) {
    clearTimeout(this.#fadeTimer);
    if (isTyping) this.#fadeTimer = setTimeout(() => this.hear(false), FADES_MS);
    if (isTyping === this.isSomebody) return;
    this.isSomebody = isTyping;
    this.dispatchEvent(new Event("change"));
  }
}
