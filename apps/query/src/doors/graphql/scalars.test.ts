import { expect, test } from 'vitest';
import { DateTime } from './scalars.js';

test('a time is written as toISOString writes it, on any day and in any order', () => {
  const days = ['0001-01-01', '1969-12-31', '1970-01-01', '2024-02-29', '2026-11-21', '9999-12-31'];
  const times = ['00:00:00.000', '08:09:10.011', '23:59:59.999'];
  const moments = times.flatMap((time) => days.map((day) => `${day}T${time}Z`));
  expect(moments.map((text) => DateTime.serialize(new Date(text)))).toEqual(moments);
  expect(DateTime.serialize(new Date('-000001-06-01T00:00:00Z'))).toBe('-000001-06-01T00:00:00.000Z');
  expect(() => DateTime.serialize(new Date(Number.NaN))).toThrow(RangeError);
});
