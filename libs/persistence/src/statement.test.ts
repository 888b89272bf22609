import { expect, test } from 'vitest';
import { statement } from './index.js';

test('two statements of one name are refused when they are declared, not when they first meet on a connection', () => {
  statement('test.twice', 'SELECT 1');
  expect(() => statement('test.twice', 'SELECT 2')).toThrow('Two statements are named test.twice');
  expect(() => statement('test.twice', 'SELECT 1')).not.toThrow();
});

test('a name that Postgres would truncate is refused', () => {
  expect(() => statement('x'.repeat(64), 'SELECT 1')).toThrow('longer than 63 bytes');
});
