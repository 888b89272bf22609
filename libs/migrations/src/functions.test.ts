import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf, readFunctions } from './functions.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'millrace-functions-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, content: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), content);
}

const one = `CREATE OR REPLACE FUNCTION one() RETURNS integer LANGUAGE sql AS $$\n  SELECT 1;\n$$;`;
const two = `CREATE OR REPLACE FUNCTION two(p_a text)\nRETURNS integer LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 2;\nEND $$;`;

test('functions are read from every app and lib, each with its own text', () => {
  write('apps/a/src/noun/noun.functions.sql', `-- What they are for; in general.\n\n${one}\n\n-- The other.\n${two}\n`);
  write('libs/b/src/b.functions.sql', `${one.replace('one', 'three')}\n`);
  write('libs/b/src/schema.sql', 'CREATE TABLE not_ours ();\n');
  expect(readFunctions(root)).toEqual([
    { name: 'one', text: one },
    { name: 'two', text: two },
    { name: 'three', text: one.replace('one', 'three') },
  ]);
});

test('the digest follows from the texts, not from their order or files', () => {
  const [a, b] = [
    { name: 'one', text: one },
    { name: 'two', text: two },
  ];
  expect(digestOf([a, b])).toBe(digestOf([b, a]));
  expect(digestOf([a, { ...b, text: `${two} ` }])).not.toBe(digestOf([a, b]));
});

test('a statement that creates no function is refused by its file and text', () => {
  write('apps/a/src/a.functions.sql', `${one}\nDROP TABLE event;\n`);
  expect(() => readFunctions(root)).toThrow('apps/a/src/a.functions.sql may hold functions');
  expect(() => readFunctions(root)).toThrow('not: DROP TABLE event;');
});

test('two functions of one name are refused by their files', () => {
  write('apps/a/src/a.functions.sql', one);
  write('apps/b/src/b.functions.sql', one.replace('one()', 'one(p_a text)'));
  expect(() => readFunctions(root)).toThrow('apps/b/src/b.functions.sql and apps/a/src/a.functions.sql both create the function one');
});

test('a tree without functions is refused, because applying none would drop all', () => {
  expect(() => readFunctions(root)).toThrow('the build is incomplete');
});
