import { expect, test } from 'vitest';
import { parseJson } from '#libs/json';
import { cursorKind, greater, isGreater, storedCursor, usableCursor } from './cursor-value.js';
import type { CursorValue } from './cursor-value.js';

const value = (text: string): CursorValue => usableCursor(parseJson(text))!;

test.each([
  ['10', '9'],
  ['2.5', '-3'],
  ['90071992547409931', '90071992547409930'], // beyond what a double keeps
  ['"b"', '"a"'],
  ['"2026-01-01T01:00:00Z"', '"2026-01-01T01:30:00+01:00"'], // as text it would be smaller
  ['"2026-01-01T00:00:00.000002Z"', '"2026-01-01T00:00:00.000001Z"'],
])('%s is greater than %s', (one, other) => {
  expect(isGreater(value(one), value(other))).toBe(true);
  expect(isGreater(value(other), value(one))).toBe(false);
  expect(greater(value(one), value(other))).toEqual(value(one));
  expect(greater(value(other), value(one))).toEqual(value(one));
});

test.each([
  ['5', 'a number'],
  ['12345678901234567890', 'a number'],
  ['"5"', 'text'],
  ['"2026-01-01T00:00:00.5+01:00"', 'a time'],
  ['"2026-01-01 00:00:00 UTC"', 'a time'],
  ['"2026-01-01"', 'a time'],
  ['"2026-01-01 of the year"', 'text'],
  ['"yesterday"', 'text'],
])('%s is %s', (text, kind) => {
  expect(cursorKind(value(text))).toBe(kind);
});

test('values of different types cannot be compared, and the first one stays', () => {
  expect(greater(5, 'a')).toBe(5);
  expect(greater('a', 5)).toBe('a');
  expect(greater(undefined, 5)).toBe(5);
});

test.each(['null', 'true', '{}', '[]', '""', JSON.stringify('x'.repeat(257))])('%s is no value of a cursor', (text) => {
  expect(usableCursor(parseJson(text))).toBeUndefined();
});

test('a stored value keeps its digits', () => {
  expect(JSON.stringify(storedCursor('12345678901234567890.10'))).toBe('12345678901234567890.10');
  expect(storedCursor(null)).toBeUndefined();
});
