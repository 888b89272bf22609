import { expect, test } from 'vitest';
import { waitFor } from './index.js';

test('it resolves with the first value that is there, whatever came before', async () => {
  const values = [undefined, null, false, 0];
  await expect(waitFor(() => values.shift(), { what: 'a value' })).resolves.toBe(0);
});

test('a condition that throws has not come true yet', async () => {
  let calls = 0;
  const condition = () => {
    calls += 1;
    if (calls < 3) throw new Error('not yet');
    return calls;
  };
  await expect(waitFor(condition, { what: 'the third call' })).resolves.toBe(3);
});

test('at the deadline it says what it waited for and what it saw last', async () => {
  await expect(waitFor(() => false, { deadlineMs: 20, what: 'rain' })).rejects.toThrow('Waited 20 ms for rain; last: false');
  await expect(waitFor(() => Promise.reject(new Error('dry')), { deadlineMs: 20, what: 'rain' })).rejects.toThrow(
    /for rain; last: Error: dry/,
  );
});
