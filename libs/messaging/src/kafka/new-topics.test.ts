import { expect, test } from 'vitest';
import { untilKnown } from './new-topics.js';

/** Fails with these errors, one after another, then answers. */
function answering(errors: readonly object[]) {
  let asked = 0;
  const ask = async (): Promise<string> => {
    const error = errors[asked++];
    if (error !== undefined) throw Object.assign(new Error('refused'), error);
    return 'known';
  };
  return { ask, asked: () => asked };
}

test('a broker that does not know a topic yet, or its leader, is asked again', async () => {
  const { ask } = answering([
    { type: 'UNKNOWN_TOPIC_OR_PARTITION' },
    { cause: { type: 'UNKNOWN_TOPIC_OR_PARTITION' } },
    { type: 'LEADER_NOT_AVAILABLE' },
  ]);
  expect(await untilKnown(ask)).toBe('known');
});

test('what waiting does not cure is thrown at once', async () => {
  const { ask, asked } = answering([{ type: 'TOPIC_AUTHORIZATION_FAILED' }]);
  await expect(untilKnown(ask)).rejects.toMatchObject({ type: 'TOPIC_AUTHORIZATION_FAILED' });
  expect(asked()).toBe(1);
});
