// Puts the page together: who is it, one connection, the chat, the call.
//
// `?user=patient` picks a person at once; `?ice=relay` lets media pass through the relay alone.

import { showCall } from "./call-view.js";
import { Call } from "./call.js";
import { showChat } from "./chat-view.js";
import { Chat } from "./chat.js";
import { Connection } from "./connection.js";
import { Presence } from "./presence.js";
import { unlock } from "./tones.js";
import { inWords } from "./words.js";

const CONNECTION_TEXTS = {
  connecting: "Connecting",
  connected: "Connected",
  offline: "Offline, retrying",
};
const PRESENCE_TEXTS = {
  offline: "Offline",
  available: "Online",
  away: "Away",
  busy: "Busy",
};
const NOTICE_MS = 8_000;

const $ = (selector) => document.querySelector(selector);
const address = new URL(location.href);
let noticeTimer;

/** Tells the person something; it goes away by itself. Beside an open dialog, nobody would see it. */
function notify(text) {
  const notice = $("#notice");
  ($("dialog[open]") ?? document.body).append(notice);
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => (notice.hidden = true), NOTICE_MS);
}

/** The two letters that stand for a person without a picture. */
function initials({ name }) {
  return name.split(/\s+/).map((word) => word[0]).join("").slice(0, 2);
}

function showPicker(people) {
  const template = $("#person");
  for (const person of people) {
    const button = template.content.cloneNode(true).querySelector("button");
    button.dataset.user = person.role;
    button.querySelector(".avatar").textContent = initials(person);
    button.querySelector(".name").textContent = person.name;
    button.querySelector(".role").textContent = person.role;
    button.addEventListener("click", () => {
      address.searchParams.set("user", person.role);
      history.replaceState(null, "", address);
      enter(person, people);
    });
    $("#user-picker").append(button);
  }
}

function enter(me, people) {
  const other = people.find(({ id }) => id !== me.id);
  const connection = new Connection(me.token);
  const chat = new Chat(connection, me, people.conversation);
  const iceTransportPolicy = address.searchParams.get("ice") === "relay" ? "relay" : "all";
  const call = new Call(connection, other, people.conversation, iceTransportPolicy);
  window.demo = {
    socket: connection.socket,
    get peer() {
      return call.peer;
    },
  };

  showPeople(me, other);
  showConnection(connection);
  showPresence(new Presence(connection, other.id), other);
  showChat(chat, me, notify);
  showCall(call, other, notify);
  for (const source of [connection, call]) {
    source.addEventListener("change", () => {
      for (const button of document.querySelectorAll("#call-audio, #call-video")) {
        button.disabled = connection.state !== "connected" || call.isLive;
      }
    });
  }
  // Messages and calls show by themselves that they were refused.
  connection.socket.on("error", (error) => {
    if (!/^(send_message|mark_read|call:)/.test(error.event)) notify(inWords(error));
  });
  addEventListener("pagehide", () => call.hangUp());
  $("#welcome").hidden = true;
  $("#app").hidden = false;
  // On a touch screen, that would open the keyboard.
  if (matchMedia("(hover: hover)").matches) $("#composer").focus();
}

function showPeople(me, other) {
  for (const avatar of document.querySelectorAll(".avatar.other")) {
    avatar.textContent = initials(other);
  }
  for (const name of document.querySelectorAll(".name.other")) name.textContent = other.name;
  $("#other-role").textContent = other.role;
  $("#me").textContent = `${me.name} (${me.role})`;
  document.title = `${me.name}, care-chat`;
  address.searchParams.set("user", other.role);
  $("#open-other").href = address.href;
  $("#open-other").textContent = `Open a tab as ${other.name.split(" ")[0]}`;
}

function showConnection(connection) {
  const show = () => {
    const { state } = connection;
    $("#connection").dataset.state = state;
    $("#connection-text").textContent = CONNECTION_TEXTS[state];
  };
  connection.addEventListener("change", show);
  connection.addEventListener("refused", ({ detail }) => {
    $("#connection-text").textContent = "Offline";
    notify(detail ? inWords(detail) : "The server ended this session. Reload to come back.");
  });
  show();
}

/** A dot at the other person's picture. */
function showPresence(presence, other) {
  const show = () => {
    const text = PRESENCE_TEXTS[presence.status] ?? presence.status;
    $("#presence").dataset.status = presence.status;
    $("#presence").title = text;
    $("#presence span").textContent = `${other.name}: ${text}`;
  };
  presence.addEventListener("change", show);
  show();
}

for (const event of ["pointerdown", "keydown"]) addEventListener(event, unlock);
try {
  const response = await fetch("/demo/people.json");
  if (!response.ok) throw new Error("The people of this demo could not be loaded.");
  const { people, conversation } = await response.json();
  people.conversation = conversation;
  showPicker(people);
  const me = people.find(({ role }) => role === address.searchParams.get("user"));
  if (me) enter(me, people);
} catch (error) {
  notify(inWords(error));
}
