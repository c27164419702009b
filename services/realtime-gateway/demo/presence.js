// Whether the other person is there: asked at each connection, told after that.

export class Presence extends EventTarget {
  /** `offline`, `available`, `away` or `busy`; a `change` event tells when it changes. */
  status = "offline";
  #connection;
  #userId;
  #isTold = false;

  constructor(connection, userId) {
    super();
    this.#connection = connection;
    this.#userId = userId;
    connection.socket.on("connect", () => this.#ask());
    connection.socket.on("disconnect", () => this.#become("offline"));
    connection.socket.on("presence.changed", ({ userId, status }) => {
      if (userId !== this.#userId) return;
      this.#isTold = true;
      this.#become(status);
    });
  }

  /** What is told meanwhile is newer than the answer. */
  async #ask() {
    this.#isTold = false;
    try {
      const [seen] = await this.#connection.get(`presence?userIds=${this.#userId}`);
      if (!this.#isTold && this.#connection.socket.connected) this.#become(seen.status);
    } catch {
      // The next change tells.
    }
  }

  #become(status) {
    if (status === this.status) return;
    this.status = status;
    this.dispatchEvent(new Event("change"));
  }
}
