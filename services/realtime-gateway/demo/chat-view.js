// The conversation on the page. Text goes in as text, never as markup.

import { inWords } from "./words.js";

const MARKS = {
  sending: ["clock", "Sending"],
  sent: ["check", "Sent"],
  delivered: ["checks", "Delivered"],
  read: ["checks", "Read"],
  failed: ["alert", "Not sent"],
};
const NEAR_END_PX = 80;

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

const $ = (selector) => document.querySelector(selector);

/** Shows `chat` as `me` sees it; `notify(text)` tells of problems. */
export function showChat(chat, me, notify) {
  const list = new MessageList(chat, me);
  chat.addEventListener("message", ({ detail }) => list.show(detail));
  chat.addEventListener("ready", () => list.ready());
  chat.addEventListener("problem", ({ detail }) => notify(inWords(detail)));
  chat.typing.addEventListener("change", () => {
    $("#typing").hidden = !chat.typing.isSomebody;
  });
  showComposer(chat);
}

function showComposer(chat) {
  const composer = $("#composer");
  const form = $("#compose");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const content = composer.value.trim();
    if (content) chat.send(content);
    composer.value = "";
    $("#send").disabled = true;
    composer.focus();
  });
  composer.addEventListener("input", () => {
    const isEmpty = composer.value.trim() === "";
    $("#send").disabled = isEmpty;
    if (isEmpty) chat.typing.stop();
    else chat.typing.press();
  });
  composer.addEventListener("keydown", (event) => {
    // Shift makes a new line; an input method uses Enter for itself.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

/** Messages in the order of their numbers; those that have none yet come last. */
class MessageList {
  #chat;
  #me;
  #root = $("#messages");
  #earlier = $("#earlier");
  #elements = new Map();
  #inView = new Set();
  #observer;
  #isAtEnd = true;
  #height = 0;

  constructor(chat, me) {
    this.#chat = chat;
    this.#me = me;
    this.#observer = new IntersectionObserver((entries) => this.#noteView(entries), {
      root: this.#root,
    });
    document.addEventListener("visibilitychange", () => this.#see());
    // Whoever reads the end goes on doing so when messages come, or a call takes room.
    this.#root.addEventListener("scroll", () => this.#noteEnd());
    new ResizeObserver(() => {
      this.#height = this.#root.clientHeight;
      this.#keepEnd();
    }).observe(this.#root);
    this.#earlier.addEventListener("click", () => this.#loadEarlier());
  }

  show(message) {
    const key = message.clientMessageId ?? message.id;
    const element = this.#elements.get(key) ?? this.#create(message);
    this.#elements.set(key, element);
    this.#fill(element, message);
    this.#place(element, message.seq ?? Infinity);
    if (message.state === "sending") this.#isAtEnd = true;
    this.#keepEnd();
  }

  ready() {
    this.#root.ariaBusy = "false";
    this.#earlier.hidden = !this.#chat.hasEarlier;
    $("#empty").hidden = this.#elements.size > 0;
  }

  #create(message) {
    const element = $("#message").content.cloneNode(true).firstElementChild;
    const isSystem = message.messageType === "system";
    const isMine = message.senderId === this.#me.id && !isSystem;
    const date = new Date(message.createdAt);
    element.dataset.mine = isMine;
    element.dataset.side = isSystem ? "nobody" : message.senderId;
    element.querySelector(".text").textContent = message.content;
    element.querySelector(".sender").textContent = isMine ? "You:" : "";
    element.querySelector("time").dateTime = message.createdAt;
    element.querySelector("time").textContent = time.format(date);
    element.dataset.date = day.format(date);
    if (!isMine) this.#observer.observe(element);
    $("#empty").hidden = true;
    return element;
  }

  #fill(element, message) {
    const { id, state, problem } = message;
    if (id) element.dataset.id = id;
    element.dataset.state = state;
    const [icon, text] = MARKS[state];
    element.querySelector(".mark use").setAttribute("href", `#${icon}`);
    element.querySelector(".mark .visually-hidden").textContent = text;
    const retry = element.querySelector(".retry");
    retry.hidden = state !== "failed";
    retry.onclick = () => this.#chat.retry(message);
    retry.title = problem ? inWords(problem) : "";
  }

  #place(element, seq) {
    if (element.seq === seq) return;
    element.seq = seq;
    let previous = this.#root.lastElementChild;
    while (previous && (previous === element || previous.seq > seq)) {
      previous = previous.previousElementSibling;
    }
    if (previous) previous.after(element);
    else this.#root.prepend(element);
    this.#group(element);
    if (element.nextElementSibling) this.#group(element.nextElementSibling);
  }

  /** Dates the first message of a day, and moves those of one person together. */
  #group(element) {
    const previous = element.previousElementSibling?.dataset;
    const { date, side } = element.dataset;
    element.classList.toggle("first-of-day", previous?.date !== date);
    element.classList.toggle("follows", previous?.date === date && previous?.side === side);
  }

  #noteEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#root;
    // The browser scrolled, since there is less room now; the person did not.
    if (clientHeight !== this.#height) return;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  #keepEnd() {
    if (this.#isAtEnd) this.#root.scrollTop = this.#root.scrollHeight;
  }

  async #loadEarlier() {
    const { scrollHeight, scrollTop } = this.#root;
    await this.#chat.loadEarlier();
    this.#root.scrollTop = this.#root.scrollHeight - scrollHeight + scrollTop;
    this.#earlier.hidden = !this.#chat.hasEarlier;
  }

  #noteView(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#inView.add(target);
      else this.#inView.delete(target);
    }
    this.#see();
  }

  /** What is in view of a page that is in view was seen, and need not be watched any more. */
  #see() {
    if (document.visibilityState !== "visible") return;
    for (const element of this.#inView) {
      this.#observer.unobserve(element);
      if (element.dataset.state !== "read") this.#chat.see(element.dataset.id);
    }
    this.#inView.clear();
  }
}
