import { expect, test } from 'vitest';
import { countedPlaceholders, numberedPlaceholders } from './placeholders.js';

test.each<[string, number[]]>([
  ['select 1', []],
  ['select $2::text, $1, $2', [2, 1]],
  [`select '$1', "a$1", x$1, E'it\\'s $1', 'it''s $1', $1`, [1]],
  [`select $$ costs $1 $$, $tag$ $$ $2 $tag$, $3`, [3]],
  ['select $1 -- and $2\n, $3 /* not $4 */', [1, 3]],
  ['select $10', [10]],
  [`select 'a\\', $1`, [1]],
])('the places of %s are %j', (sql, expected) => {
  expect([...numberedPlaceholders(sql)]).toEqual(expected);
});

test.each<[string, number]>([
  ['select 1', 0],
  ['insert into t values (?, ?)', 2],
  [`select '?', "?", \`?\`, 'it\\'s ?', 'it''s ?', ?`, 1],
  ['select ? # and ?\n, ? -- ?\n, 1--?', 3],
  ['select /* ? */ ?', 1],
])('%s has %i places', (sql, expected) => {
  expect(countedPlaceholders(sql)).toBe(expected);
});

test('a statement that never ends its quotation is read within a moment', () => {
  const startedAt = performance.now();
  for (const sql of ["'" + "''".repeat(10_000) + "'x '".repeat(1), '/*'.repeat(10_000), '$a$'.repeat(6_000), '"'.repeat(19_999)]) {
    numberedPlaceholders(sql);
    countedPlaceholders(sql);
  }
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});
