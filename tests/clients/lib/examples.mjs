// What it takes to drive the documents' own examples: waiting for what they show, and two hooks.
import { DEADLINE_MS } from './rest.mjs';

/** Waits until `found` returns a value; `changed` must be called when things change. */
export function waiting() {
  const looks = new Set();
  const changed = () => looks.forEach((look) => look());
  const until = (what, found) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come`)), DEADLINE_MS);
      const look = () => {
        const value = found();
        if (value !== undefined) {
          clearTimeout(timer);
          looks.delete(look);
          resolve(value);
        }
      };
      looks.add(look);
      look();
    });
  return { changed, until };
}

/** Hooks for one component that is mounted once: `render` calls it again after each change. */
export function mount(screen, props) {
  const { changed, until } = waiting();
  const state = [];
  let slot = 0;
  let cleanUp;
  const useState = (initial) => {
    const at = slot++;
    state[at] ??= { value: initial };
    const set = (next) => {
      state[at].value = typeof next === 'function' ? next(state[at].value) : next;
      changed();
    };
    return [state[at].value, set];
  };
  const useEffect = (effect) => {
    cleanUp ??= effect();
  };
  const component = screen({ useState, useEffect });
  const render = () => {
    slot = 0;
    return component(props);
  };
  render();
  return { render, until, unmount: () => cleanUp() };
}
