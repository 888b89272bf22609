import { expect, test } from 'vitest';
import { GrowingBytes } from './growing-bytes.js';

/** A piece as a socket reads it: a few bytes of a buffer that has room for many. */
const piece = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.alloc(65_536)]).subarray(0, text.length);

test('bytes that came in one piece are that piece', () => {
  const bytes = new GrowingBytes();
  const only = piece('whole');
  bytes.append(only, 1_000);
  expect(bytes.take()).toEqual(only);
});

test('single bytes are kept in at most twice the memory of their number, and in their order', () => {
  const bytes = new GrowingBytes();
  const text = 'abcdefghij'.repeat(500);
  for (const one of text) bytes.append(piece(one), 1_048_576);
  const taken = bytes.take();
  expect(String(taken)).toBe(text);
  expect(taken.buffer.byteLength).toBeLessThanOrEqual(2 * text.length);
});

test('no more memory is taken than for the bytes that are expected, and what is more than those is kept all the same', () => {
  const bytes = new GrowingBytes();
  for (const one of ['12345', '6789', '0']) bytes.append(piece(one), 10);
  expect(bytes.length).toBe(10);
  bytes.append(piece('+'), 10);
  const taken = bytes.take();
  expect([String(taken), taken.buffer.byteLength]).toEqual(['1234567890+', 11]);
});

test('what was given away is held no longer', () => {
  const bytes = new GrowingBytes();
  bytes.append(piece('first'), 5);
  bytes.take();
  expect([bytes.length, bytes.take().length]).toEqual([0, 0]);
});
