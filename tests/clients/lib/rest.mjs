// The REST interface as the protocol's mobile clients use it, through axios.
import axios from 'axios';

import { api } from './environment.mjs';

/** How long anything may take before a test gives up on it. */
export const DEADLINE_MS = 20_000;

/** REST with these headers; no status is an exception. */
export const rest = (headers = {}) =>
  axios.create({ baseURL: api, headers, timeout: DEADLINE_MS, validateStatus: () => true });

/** REST as `user`, by bearer token. */
export const as = (user) =>
  rest({ Authorization: `Bearer ${user.token}`, 'X-Client-Type': 'mobile' });

/** Returns the whole history of a conversation in the order of `seq`. */
export async function history(user, conversationId) {
  const messages = [];
  for (;;) {
    const { data } = await as(user).get(`/chat/conversations/${conversationId}/messages`, {
      params: { limit: 200, afterSeq: messages.at(-1)?.seq ?? 0 },
    });
    messages.push(...data.messages);
    if (data.messages.length < 200) {
      return messages;
    }
  }
}
