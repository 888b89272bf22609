import { describe, expect, test } from 'vitest';
import { NotFound, failures } from './errors.js';
import type { Failure } from './errors.js';

const table: [string, Failure][] = Object.entries(failures);

describe('the table of failures', () => {
  test.each(table.filter(([code]) => code.endsWith('.unknown')))('%s is told to the caller as 404', (_code, { outcome, httpStatus }) => {
    expect({ outcome, httpStatus }).toEqual({ outcome: 'reject', httpStatus: 404 });
  });

  test('a challenge stands exactly where RFC 6750 asks for one: at every refused credential', () => {
    expect(table.filter(([, { challenge }]) => challenge !== undefined).map(([code]) => code)).toEqual(
      table.map(([code]) => code).filter((code) => code.startsWith('credential.')),
    );
  });

  test('what is tried again tells a caller to come back, not that the request is wrong', () => {
    expect(table.filter(([, { outcome, httpStatus }]) => outcome === 'retry' && ![429, 503].includes(httpStatus))).toEqual([]);
    expect(table.filter(([, { httpStatus }]) => httpStatus === 429).map(([code]) => code)).toEqual(['request.limited']);
  });
});

test('NotFound names its code by the kind, and says what is missing', () => {
  expect(new NotFound('deadLetter', ['dlq_1', 'dlq_2'], { field: 'ids' })).toMatchObject({
    code: 'deadLetter.unknown',
    outcome: 'reject',
    missing: ['dlq_1', 'dlq_2'],
    field: 'ids',
    message: 'There is no dead letter dlq_1, dlq_2',
  });
});
