import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readDocuments } from './document.files.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test('a field is placed by the line and column of its name', () => {
  const path = file('a.yaml', 'kind: Flow\nspec:\n  steps:\n    - id: a\n      map: { expression: x }\n');
  const [document] = readDocuments([path]);
  expect(document?.value).toEqual({ kind: 'Flow', spec: { steps: [{ id: 'a', map: { expression: 'x' } }] } });
  expect(document?.positionOf(['spec', 'steps', '0', 'map', 'expression'])).toBe(`${path}:5:14`);
  expect(document?.positionOf(['spec', 'steps', '0'])).toBe(`${path}:4:7`);
});

test('a field that is not there is placed where it would be: in what is around it', () => {
  const path = file('a.yaml', 'kind: Flow\nspec:\n  steps: []\n');
  expect(readDocuments([path])[0]?.positionOf(['spec', 'decision'])).toBe(`${path}:2:1`);
});

test('a file may have several documents, empty ones count for nothing, and a list is as many as it has', () => {
  const path = file('a.yaml', '---\nkind: A\n---\n# nothing\n---\nkind: B\n');
  const json = file('b.json', '[{"kind":"C"},\n {"kind":"D"}]');
  const documents = readDocuments([path, json]);
  expect(documents.map(({ value }) => (value as { kind: string }).kind)).toEqual(['A', 'B', 'C', 'D']);
  expect(documents[1]?.positionOf(['kind'])).toBe(`${path}:6:1`);
  expect(documents[3]?.positionOf(['kind'])).toBe(`${json}:2:3`);
});

test('a directory is read with what is below it, in the order of names', () => {
  mkdirSync(join(directory, 'flows'));
  file('z.yml', 'kind: Z');
  file('flows/a.json', '{"kind":"A"}');
  file('notes.txt', 'not: read');
  expect(readDocuments([directory]).map(({ value }) => (value as { kind: string }).kind)).toEqual(['A', 'Z']);
});

test('the file of a description stands in the place of its name, and is no document itself', () => {
  mkdirSync(join(directory, 'apis'));
  file('apis/library.yaml', 'openapi: 3.1.0\n');
  file('apis/shop.wsdl', '<definitions/>');
  file(
    'connectors.yaml',
    'kind: Connector\nspec: { openapi: { documentFile: apis/library.yaml } }\n---\nkind: Connector\nspec: { wsdl: { documentFile: ./apis/shop.wsdl } }\n',
  );
  expect(readDocuments([directory]).map(({ value }) => value)).toEqual([
    { kind: 'Connector', spec: { openapi: { document: 'openapi: 3.1.0\n' } } },
    { kind: 'Connector', spec: { wsdl: { document: '<definitions/>' } } },
  ]);
});

test.each([
  ['../other.wsdl', 'must name a file below the folder of this one'],
  ['none.wsdl', 'names a file that cannot be read'],
  ['latin.wsdl', 'which is not UTF-8'],
  ['', 'must be the path of a file'],
  ['shop.wsdl, document: <a/>', 'stands beside document'],
])('a description that is not taken is refused with its place: %s', (named, problem) => {
  const outside = join(directory, '..', 'other.wsdl');
  writeFileSync(outside, '<a/>');
  file('shop.wsdl', '<a/>');
  file('latin.wsdl', Buffer.from('<a>\xe4</a>', 'latin1'));
  const path = file('a.yaml', `kind: Connector\nspec:\n  wsdl: { documentFile: ${named === '' ? '""' : named} }\n`);
  try {
    expect(() => readDocuments([path])).toThrow(problem);
    expect(() => readDocuments([path])).toThrow(`${path}:3:11`);
  } finally {
    rmSync(outside);
  }
});

test('what is not YAML is refused with its place', () => {
  const path = file('a.yaml', 'kind: Flow\nspec: {\n');
  expect(() => readDocuments([path])).toThrow(`${path}:3:1`);
});

test('of a mistake in YAML one line is told, not all that follows from it', () => {
  const path = file('a.yaml', 'spec:\n  on: {}}\n  steps:\n    - id: a\n');
  expect(() => readDocuments([path])).toThrow(/^[^\n]*a\.yaml:2:9 [^\n]*$/);
});

test('a path that is not there, and a directory without documents, are said', () => {
  expect(() => readDocuments([join(directory, 'no')])).toThrow('There is no file or directory');
  expect(() => readDocuments([directory])).toThrow('There is no .yaml, .yml or .json file');
});

test('a number that would be sent as another one is refused where it stands', () => {
  const yaml = file('a.yaml', 'kind: Flow\nspec: { a: 10.00, b: 9007199254740993, c: 0x10 }\n');
  const json = file('b.json', '{"kind":"Flow","limit":1e400}');
  const problem =
    'has more digits, or a larger exponent, than a double keeps; where text is allowed quote it, where a number is needed write a smaller or shorter one';
  expect(() => readDocuments([yaml, json])).toThrow(`${yaml}:2:22 9007199254740993 ${problem}\n${json}:1:24 1e400 ${problem}`);
});

test.each([
  ['an unknown reference', 'kind: *nope\n', /^\S+a\.yaml:1:1 cannot be read: Unresolved alias/],
  [
    'references that repeat too much',
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: [${'*c,'.repeat(9)}]\n`,
    /^\S+a\.yaml:1:1 cannot be read: Excessive alias count/,
  ],
  ['nesting that is too deep', `a: ${'['.repeat(20_000)}`, /^\S+a\.yaml:1:\d+ is nested too deep to be read$/],
  ['a key that is repeated', 'a: 1\nb: { "c d": 1,\n  "c d": 2 }', /^\S+a\.yaml:3:3 the key "c d" stands in this mapping twice$/],
  ['a byte that is not UTF-8', Buffer.from('a: 1\nb: é\xe9', 'latin1'), /^\S+a\.yaml:2:4 is not UTF-8; save it in that encoding$/],
  ['a file in UTF-16', Buffer.from('\ufeffa: 1', 'utf16le'), /^\S+a\.yaml:1:1 is not UTF-8; save it in that encoding$/],
])('%s is refused with its place', (_what, text, message) => {
  const path = file('a.yaml', text);
  expect(() => readDocuments([path])).toThrow(message);
});

test('a folder that is named as a file is refused', () => {
  mkdirSync(join(directory, 'a.yaml'));
  expect(() => readDocuments([directory])).toThrow(/a\.yaml cannot be read: /);
});
