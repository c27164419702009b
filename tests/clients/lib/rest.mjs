// The REST interface as the protocol's mobile clients use it, through axios.
import assert from 'node:assert/strict';

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

/** Posts a message of `user` about `ids` and returns the answer, whatever it is. */
export const post = (user, ids, content, more = {}) =>
  as(user).post('/chat/messages', { ...ids, content, senderType: user.role, ...more });

/** Posts a message of `user` about `ids` and returns the body of its confirmation. */
export async function posted(user, ids, content, more) {
  const { status, data } = await post(user, ids, content, more);
  assert.equal(status, 201, JSON.stringify(data));
  return data;
}

/** Returns the whole history of a conversation in the order of `seq`. */
export async function history(user, conversationId) {
  const messages = [];
  for (;;) {
    const { status, data } = await as(user).get(`/chat/conversations/${conversationId}/messages`, {
      params: { limit: 200, afterSeq: messages.at(-1)?.seq ?? 0 },
    });
    assert.equal(status, 200, JSON.stringify(data));
    messages.push(...data.messages);
    if (data.messages.length < 200) {
      return messages;
    }
  }
}
