import { expect, test } from 'vitest';
import { counted } from './counted.js';

test.each([
  [0, 'event', '0 events'],
  [1, 'event', '1 event'],
  [2, 'delivery', '2 deliveries'],
  [1, 'delivery', '1 delivery'],
  [3, 'day', '3 days'],
  [2, 'branch', '2 branches'],
])('%i of the noun %s is: %s', (count, noun, words) => {
  expect(counted(count, noun)).toBe(words);
});
