// A stock socket.io-client that remembers what it was sent, in order.
//
// Tests ask for an event that came or will come (`next`), and read the log (`all`, `names`) once a
// later event shows that nothing else can have come before it. Nobody sleeps.
import assert from 'node:assert/strict';

import { io } from 'socket.io-client';

import { checkAnswer, checkEvent, dialectsOf } from './described.mjs';
import { gateways, publicUrl } from './environment.mjs';
import { DEADLINE_MS } from './rest.mjs';

/** The ways to a gateway, as options of the stock client. */
export const TRANSPORTS = [
  { name: 'websocket only', options: { transports: ['websocket'] }, ends: 'websocket' },
  { name: 'polling only', options: { transports: ['polling'] }, ends: 'polling' },
  {
    name: 'polling upgraded to websocket',
    options: { transports: ['polling', 'websocket'] },
    ends: 'websocket',
  },
];

export const [WEBSOCKET, POLLING, UPGRADE] = TRANSPORTS;

/** Returns the URL of gateway `i`; the last ones are the first ones again when there are fewer. */
export const gateway = (i) => gateways[i % gateways.length].url;

export class Client {
  #log = [];
  #taken = new Set();
  #waiting = new Set();
  #dialects;

  /** `notified` are names that other services choose, which no document describes. */
  constructor(url, { token, user, namespace = '/chat', notified = [], ...options } = {}) {
    this.#dialects = dialectsOf(user, namespace);
    this.socket = io(`${url}${namespace}`, {
      forceNew: true,
      reconnection: false,
      ...(token === undefined ? {} : { auth: { token } }),
      ...options,
    });
    // The last argument may be the offset of connection state recovery: it is the library's.
    this.socket.onAny((name, data) => {
      this.#record(name, data);
      if (!notified.includes(name)) {
        checkEvent(this.#dialects, name, data);
      }
    });
    this.socket.on('connect', () => this.#record('(connect)', this.socket.id));
    this.socket.on('connect_error', (error) => this.#record('(connect_error)', error));
    this.socket.io.engine.on('upgrade', () => this.#record('(upgrade)'));
    this.socket.on('disconnect', (reason) => this.#record('(disconnect)', reason));
  }

  #record(name, data) {
    this.#log.push({ name, data });
    this.look();
  }

  /** Asks everything that is waited for again. Due when something changed that is no event. */
  look() {
    for (const look of this.#waiting) {
      look();
    }
  }

  /** Waits until `found` returns something other than `undefined`; it is asked at each event and `look`. */
  until(found, what, deadline = DEADLINE_MS) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const result = found();
        if (result !== undefined) {
          clearTimeout(timer);
          this.#waiting.delete(look);
          resolve(result);
        }
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        const names = this.names().slice(-20).join(', ');
        reject(new Error(`${what} did not come; the last that came: ${names || 'nothing'}`));
      }, deadline);
      this.#waiting.add(look);
      look();
    });
  }

  /** Takes the first event of that name which was not yet taken and which `wanted` accepts. */
  next(name, wanted = () => true, deadline = DEADLINE_MS) {
    const found = () => {
      const entry = this.#log.find(
        (entry) => entry.name === name && !this.#taken.has(entry) && wanted(entry.data),
      );
      if (entry) {
        this.#taken.add(entry);
      }
      return entry;
    };
    return this.until(found, name, deadline).then((entry) => entry.data);
  }

  /** Waits until `count` events of that name came, and returns the data of all. */
  collect(name, count, deadline = DEADLINE_MS) {
    const found = () => (this.all(name).length < count ? undefined : this.all(name));
    return this.until(found, `${count} x ${name}`, deadline);
  }

  /** Returns the data of every event of that name so far. */
  all(name) {
    return this.#log.filter((entry) => entry.name === name).map(({ data }) => data);
  }

  /** Returns the names of all events so far; what the library itself reports is in brackets. */
  names() {
    return this.#log.map(({ name }) => name);
  }

  emit(name, ...payload) {
    this.socket.emit(name, ...payload);
  }

  /** Emits with an acknowledgement and returns that. */
  async ask(name, ...payload) {
    const answer = await this.socket.timeout(DEADLINE_MS).emitWithAck(name, ...payload);
    checkAnswer(this.#dialects, name, answer);
    return answer;
  }

  /** Sends a Socket.IO packet as the text it is on the wire. */
  raw(text) {
    this.socket.io.engine.write(text);
  }

  close() {
    this.socket.disconnect();
  }
}

/** Connects `user`; the connection ends with the test. */
export async function connect(t, user, { url = publicUrl, via = WEBSOCKET, ...options } = {}) {
  const client = new Client(url, { token: user.token, user, ...via.options, ...options });
  t.after(() => client.close());
  client.user = user;
  await client.next('(connect)');

  const transport = () => client.socket.io.engine.transport.name;
  await client.until(() => transport() === via.ends || undefined, `the ${via.ends} transport`);
  return client;
}

/** Joins a conversation and waits for the answer. */
export async function join(client, conversationId) {
  client.emit('join_conversation', {
    conversationId,
    userId: client.user.id,
    userType: client.user.role,
  });
  await client.next('joined_conversation', (data) => data.conversationId === conversationId);
  return client;
}

/** Connects `user` and joins the conversation. */
export async function connectAndJoin(t, user, conversationId, options) {
  return join(await connect(t, user, options), conversationId);
}

/** Sends a message and returns the body of its confirmation. */
export async function send(client, conversationId, content, more = {}) {
  const { event, data } = await client.ask('send_message', {
    conversationId,
    content,
    senderType: client.user.role,
    ...more,
  });
  assert.equal(event, 'message_sent', JSON.stringify(data));
  return data;
}
