import * as fc from 'fast-check';
import { types } from 'pg';
import { expect, test } from 'vitest';
import { parseTimestamp } from './timestamp.js';

const parseAny = types.getTypeParser(types.builtins.TIMESTAMPTZ, 'text') as (text: string) => unknown;

test('every moment is the one that Postgres wrote', () => {
  const moment = fc.date({ min: new Date('0100-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true });
  fc.assert(
    fc.property(moment, (date) => {
      const text = date
        .toISOString()
        .replace('T', ' ')
        .replace(/\.?0*Z$/, '+00');
      expect(parseTimestamp(text)).toEqual(date);
    }),
  );
});

test.each([
  '2026-11-29 10:12:13+00',
  '2026-11-29 10:12:13.123456+00',
  '2026-11-29 10:12:13.9999+00',
  '2026-11-29 10:12:13.5+00',
  '2026-11-29 10:12:13.456+01',
  '2026-11-29 10:12:13.456-05:30',
  '0099-01-01 00:00:00+00',
  '12026-11-29 10:12:13+00',
  '0044-03-15 12:00:00+00 BC',
  'infinity',
  '-infinity',
])('%s is read as pg reads it', (text) => {
  expect(parseTimestamp(text)).toEqual(parseAny(text));
});
