// The conversation: history, sending, receipts. Knows nothing of the page, which hears the events
// `message` (one is new or has changed), `ready` (history is there) and `problem`.

import { Outbox } from "./outbox.js";
import { Typing } from "./typing.js";

const PAGE = 50;
const RETRY_MS = 2_000;
const GATHER_MS = 200;

export class Chat extends EventTarget {
  /** Stored messages by `id`, others by `clientMessageId`. */
  messages = new Map();
  typing;
  #connection;
  #me;
  #conversationId;
  #outbox;
  /** Nothing is missing up to this sequence number, which the server gives without gaps. */
  #complete = 0;
  #isLive = false;
  #seen = new Set();
  #seenTimer;

  constructor(connection, me, conversationId) {
    super();
    this.#connection = connection;
    this.#me = me;
    this.#conversationId = conversationId;
    connection.socket.on("connect", () => this.#resume());
    connection.socket.on("disconnect", () => (this.#isLive = false));
    const listen = (event, handler) => connection.listen(conversationId, event, handler);
    listen("new_message", ({ message }) => this.#hear(message));
    listen("message_delivered", ({ messageIds, deliveredAt }) =>
      this.#mark(messageIds, { deliveredAt }),
    );
    listen("messages_read", ({ messageIds }) =>
      this.#mark(messageIds, { readAt: new Date().toISOString() }),
    );
    this.typing = new Typing(connection, me, conversationId);
    // Hears of a connection after we did, so the room is joined before a message goes there.
    this.#outbox = new Outbox(connection, {
      onStored: (message) => this.#store(message),
      onRefused: (draft, problem) =>
        this.#tell({ ...this.messages.get(draft.clientMessageId), state: "failed", problem }),
    });
  }

  /** Sends a message, now or as soon as there is a connection. */
  send(content) {
    this.typing.stop();
    this.#post({
      conversationId: this.#conversationId,
      clientMessageId: crypto.randomUUID(),
      content,
      senderType: this.#me.role,
    });
  }

  /** Sends a refused message again, as the same one. */
  retry({ conversationId, clientMessageId, content, senderType }) {
    this.#post({ conversationId, clientMessageId, content, senderType });
  }

  /** Whether there is something before the first message that is known. */
  get hasEarlier() {
    return this.#seqs().length > 0 && Math.min(...this.#seqs()) > 1;
  }

  async loadEarlier() {
    try {
      await this.#load(`limit=${PAGE}&beforeSeq=${Math.min(...this.#seqs())}`);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Marks a message as read: the person has it before their eyes. */
  see(id) {
    this.#seen.add(id);
    this.#seenTimer ??= setTimeout(() => this.#markRead(), GATHER_MS);
  }

  /** Joins the room, then fetches what was missed. */
  async #resume() {
    const { socket } = this.#connection;
    const { id: userId, role: userType } = this.#me;
    socket.emit("join_conversation", { conversationId: this.#conversationId, userId, userType });
    this.#markRead();
    const connectionId = socket.id;
    while (socket.id === connectionId && !this.#isLive) {
      try {
        await this.#catchUp();
        if (socket.id === connectionId) this.#isLive = true;
      } catch (error) {
        this.#fail(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    if (this.#isLive) this.#complete = Math.max(0, ...this.#seqs());
    this.dispatchEvent(new Event("ready"));
  }

  /** The newest page brings the receipts up to date, too; before it may be a gap. */
  async #catchUp() {
    const newest = await this.#load(`limit=${PAGE}`);
    const until = Math.min(...newest.map(({ seq }) => seq));
    while (this.#complete > 0 && this.#complete < until - 1) {
      const page = await this.#load(`limit=200&afterSeq=${this.#complete}`);
      if (page.length === 0) return;
      this.#complete = Math.max(...page.map(({ seq }) => seq));
    }
  }

  async #load(query) {
    const page = await this.#connection.get(
      `conversations/${this.#conversationId}/messages?${query}`,
    );
    const messages = page?.messages ?? [];
    for (const message of messages) this.#store(message);
    return messages;
  }

  #hear(message) {
    if (message.senderId !== this.#me.id) this.typing.hear(false);
    if (this.#isLive) this.#complete = Math.max(this.#complete, message.seq);
    this.#store(message);
  }

  /** Events and pages cross on their way: a mark, once set, stays. */
  #store(message) {
    const known = this.messages.get(message.id);
    this.messages.delete(message.clientMessageId);
    const readAt = message.readAt ?? known?.readAt;
    const deliveredAt = message.deliveredAt ?? known?.deliveredAt;
    const state = readAt ? "read" : deliveredAt ? "delivered" : "sent";
    this.#tell({ ...message, readAt, deliveredAt, state });
  }

  #mark(ids, marks) {
    for (const id of ids) {
      const message = this.messages.get(id);
      if (message) this.#store({ ...message, ...marks });
    }
  }

  #post(draft) {
    const now = new Date().toISOString();
    this.#tell({ ...draft, senderId: this.#me.id, createdAt: now, state: "sending" });
    this.#outbox.add(draft);
  }

  async #markRead() {
    clearTimeout(this.#seenTimer);
    this.#seenTimer = undefined;
    const messageIds = [...this.#seen];
    if (messageIds.length === 0 || !this.#connection.socket.connected) return;
    this.#seen.clear();
    try {
      const conversationId = this.#conversationId;
      const done = await this.#connection.request("mark_read", { conversationId, messageIds });
      this.#mark(done.messageIds, { readAt: new Date().toISOString() });
    } catch {
      // They go along with the next ones, or after the reconnect; marking twice does no harm.
      for (const id of messageIds) this.#seen.add(id);
    }
  }

  #seqs() {
    return [...this.messages.values()].map(({ seq }) => seq).filter(Boolean);
  }

  #tell(message) {
    this.messages.set(message.id ?? message.clientMessageId, message);
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #fail(error) {
    this.dispatchEvent(new CustomEvent("problem", { detail: error }));
  }
}
