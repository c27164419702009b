// Searching in one's own messages, by REST.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { newConversation } from '../lib/directory.mjs';
import { as, posted } from '../lib/rest.mjs';
import { assertFailed, assertMessage } from '../lib/shapes.mjs';

const search = (user, query) => as(user).get('/chat/search', { params: { query } });

describe('GET /chat/search', { concurrency: 4 }, () => {
  test('finds what holds all the words, the newest first, for both sides', async () => {
    const { consultant, patient, ids, conversationId } = await newConversation();
    for (const content of ['a headache', 'Fever, and a headache', 'fever alone', 'headache: FEVER']) {
      await posted(patient, ids, content);
    }

    for (const user of [patient, consultant]) {
      const { status, data } = await search(user, 'fever headache');

      assert.equal(status, 200);
      assert.deepEqual(
        data.messages.map(({ content }) => content),
        ['headache: FEVER', 'Fever, and a headache'],
      );
      assertMessage(data.messages[0], {
        conversationId,
        sender: patient,
        content: 'headache: FEVER',
      });
    }
  });

  test('looks into all of the caller\'s conversations and into no other', async () => {
    const one = await newConversation();
    const { patient } = one;
    const two = await newConversation({ patient });
    const foreign = await newConversation();
    for (const { patient: sender, ids } of [one, two, foreign]) {
      await posted(sender, ids, 'insulin');
    }

    const { data } = await search(patient, 'insulin');
    const { data: theirs } = await search(one.consultant, 'insulin');

    assert.deepEqual(
      data.messages.map(({ conversationId }) => conversationId),
      [two.conversationId, one.conversationId],
    );
    assert.deepEqual(
      theirs.messages.map(({ conversationId }) => conversationId),
      [one.conversationId],
    );
  });

  test('wants words', async () => {
    const { patient } = await newConversation();

    for (const query of ['', '  ', undefined]) {
      assertFailed(await search(patient, query), 400);
    }
  });
});
