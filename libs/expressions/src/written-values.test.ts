import { expect, test } from 'vitest';
import { writtenFields, writtenValue } from './written-values.js';

test.each([
  ['{ "amount": 0, "of": ["a", true, null] }', { amount: 0, of: ['a', true, null] }],
  ['("EUR")', 'EUR'],
  ['-1', -1],
  ['null', null],
])('%s is the value that it says', (expression, value) => {
  expect(writtenValue(expression)).toEqual({ value });
});

test.each([
  'event.data',
  '{ "amount": event.data.amount }',
  '$now()',
  '{ event.key: 1 }',
  '["a", "b"][0]',
  '"a" & "b"',
  '{ "a": 1 }.a',
  '($x := 1; 2)',
])('the value of %s does not stand in it', (expression) => {
  expect(writtenValue(expression)).toBeUndefined();
});

test.each([
  ['{ "id": event.customer, "more": 1 }', ['id', 'more']],
  ['({ "id": 1 })', ['id']],
  ['{}', []],
  ['{ event.key: 1 }', undefined],
  ['event.data{ type: 1 }', undefined],
  ['$merge([event.data, { "id": 1 }])', undefined],
  ['event.data', undefined],
])('the fields of %s', (expression, fields) => {
  expect(writtenFields(expression)).toEqual(fields);
});
