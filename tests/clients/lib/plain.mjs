// A client without Socket.IO: a WebSocket as every browser has it, and JSON.
import { WebSocket } from 'ws';

import { checkAnswer, checkEvent, dialectsOf } from './described.mjs';
import { publicUrl } from './environment.mjs';
import { DEADLINE_MS } from './rest.mjs';

export class Plain {
  #log = [];
  #looks = new Set();
  #lastId = 0;
  #asked = new Map();
  #dialects;

  constructor(url = publicUrl, { user, ...options } = {}) {
    // Whose dialect is not known yet may be told as in any.
    this.#dialects = user ? dialectsOf(user, '/chat') : ['consult', 'care', 'clinic', 'booking'];
    this.socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, options);
    this.socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      this.#check(frame);
      this.#record(frame);
    };
    this.socket.onclose = ({ code }) => this.#record({ event: '(close)', data: code });
    this.opened = new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.socket.onerror = () => reject(new Error('refused'));
    });
  }

  #check({ id, ...frame }) {
    if (id === undefined) {
      checkEvent([...this.#dialects, 'ws'], frame.event, frame.data);
    } else if (this.#asked.has(id)) {
      checkAnswer(this.#dialects, this.#asked.get(id), frame, 'x-answer');
    }
  }

  #record(frame) {
    this.#log.push(frame);
    this.#looks.forEach((look) => look());
  }

  #until(wanted, what) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const at = this.#log.findIndex(wanted);
        if (at >= 0) {
          clearTimeout(timer);
          this.#looks.delete(look);
          resolve(this.#log.splice(at, 1)[0]);
        }
      };
      const timer = setTimeout(() => {
        this.#looks.delete(look);
        reject(new Error(`${what} did not come; there is ${JSON.stringify(this.#log)}`));
      }, DEADLINE_MS);
      this.#looks.add(look);
      look();
    });
  }

  /** Takes the data of the next event of that name. */
  async next(name) {
    return (await this.#until(({ event }) => event === name, name)).data;
  }

  emit(event, data) {
    this.socket.send(JSON.stringify({ event, data }));
  }

  /** Emits and returns the answer that names it. */
  ask(event, data) {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#asked.set(id, event);
    this.socket.send(JSON.stringify({ event, data, id }));
    return this.#until((frame) => frame.id === id, `the answer to ${event}`);
  }

  /** What came and was not taken. */
  get rest() {
    return this.#log;
  }
}

/** Opens a WebSocket and says who it is. */
export async function connectPlain(t, user, url) {
  const client = new Plain(url, { user });
  t.after(() => client.socket.close());
  await client.opened;
  client.emit('auth', { token: user.token });
  client.ready = await client.next('ready');
  client.user = user;
  return client;
}
