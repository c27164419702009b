// Messages on their way: one after the other, each repeated under the same key until the server has
// stored it or refused it. The key makes a repetition harmless, so a doubt is never a double.

const RETRY_MS = 2_000;
const TEMPORARY = ["unavailable", "rate_limited"];

export class Outbox {
  #connection;
  #waiting = [];
  #isBusy = false;
  #onStored;
  #onRefused;

  /** `onStored(message)` and `onRefused(draft, error)` hear how it went. */
  constructor(connection, { onStored, onRefused }) {
    this.#connection = connection;
    this.#onStored = onStored;
    this.#onRefused = onRefused;
    connection.socket.on("connect", () => this.#work());
  }

  /** Takes the payload of a `send_message`, with its `clientMessageId`. */
  add(draft) {
    this.#waiting.push(draft);
    this.#work();
  }

  async #work() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#waiting.length > 0 && this.#connection.socket.connected) {
      if (await this.#attempt(this.#waiting[0])) this.#waiting.shift();
    }
    this.#isBusy = false;
  }

  /** Returns whether the draft is settled; waits a little when it is not. */
  async #attempt(draft) {
    try {
      const { message } = await this.#connection.request("send_message", draft);
      this.#onStored(message);
      return true;
    } catch (error) {
      if (error.code && !TEMPORARY.includes(error.code)) {
        this.#onRefused(draft, error);
        return true;
      }
      const pause = error.retryAfterMs ?? RETRY_MS;
      await new Promise((resolve) => setTimeout(resolve, pause));
      return false;
    }
  }
}
