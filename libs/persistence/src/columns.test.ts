import { expect, test } from 'vitest';
import { columns } from './index.js';

interface Reading {
  place: string;
  degrees: number | null | undefined;
  at: Date;
}

const reading = columns<Reading>({
  place: ['text', (row) => row.place],
  degrees: ['integer', (row) => row.degrees],
  taken_at: ['timestamptz', (row) => row.at],
});

test('text and parameters follow from one declaration, in its order', () => {
  expect(reading.names).toBe('place, degrees, taken_at');
  expect(reading.size).toBe(3);
  expect(reading.unnest('reading')).toBe('unnest($1::text[], $2::integer[], $3::timestamptz[]) AS reading (place, degrees, taken_at)');
  const at = new Date(0);
  expect(
    reading.values([
      { place: 'Oslo', degrees: -4, at },
      { place: 'Bern', degrees: undefined, at },
    ]),
  ).toEqual([
    ['Oslo', 'Bern'],
    [-4, null],
    [at, at],
  ]);
});

test('rows can start behind other parameters', () => {
  expect(reading.unnest('reading', 3)).toBe('unnest($3::text[], $4::integer[], $5::timestamptz[]) AS reading (place, degrees, taken_at)');
});

test('numbered rows have a last column that counts them', () => {
  expect(reading.unnestNumbered('reading', 2)).toBe(
    'unnest($2::text[], $3::integer[], $4::timestamptz[]) WITH ORDINALITY AS reading (place, degrees, taken_at, number)',
  );
});

test('no rows are one empty array per column', () => {
  expect(reading.values([])).toEqual([[], [], []]);
});

test('a value of another type than its column is refused by the compiler', () => {
  // @ts-expect-error a Date is no integer
  columns<Reading>({ degrees: ['integer', (row) => row.at] });
});
