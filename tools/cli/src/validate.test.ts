import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runInTest } from './run-in-test.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  path = join(directory, 'all.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

const source = `apiVersion: millrace/v1
kind: Source
metadata: { tenant: acme, name: shop }
spec: { scheme: api-key }
`;
const flow = `---
apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: tell }
spec:
  on: { sources: [shop] }
  steps:
    - id: shorten
      map: { expression: event.data }
    - id: tell
      deliver: { destination: crm }
`;

function validate(text: string, ...args: string[]) {
  writeFileSync(path, text);
  return runInTest([...args, 'validate', '-f', path], { directory });
}

test('documents are checked without a server and without a key; a name that the files do not have is only noted', async () => {
  expect(await validate(source + flow)).toEqual({
    code: 0,
    out: '',
    notes: `${path}:15:18 spec.steps.1.deliver.destination: names Destination/crm, which is not in the files; apply looks for it in the tenant\n2 documents checked.`,
  });
});

test('every problem is printed with file, line, column and field', async () => {
  const text = `${source.replace('scheme: api-key', 'schema: api-key')}${flow.replace('event.data', "'$('")}---\n${source}`;
  const { code, out, notes } = await validate(text);
  expect(code).toBe(1);
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^\S+all\.yaml:4:1 spec\.scheme: /),
    expect.stringMatching(/^\S+all\.yaml:13:14 spec\.steps\.0\.map\.expression: /),
    `${path}:19:27 metadata.name: is given twice: acme/Source/shop`,
  ]);
  expect(notes).toContain('3 problems in 3 documents.');
});

test('a wrong shape does not hide what else is wrong in the same document', async () => {
  const schema = `    - id: check\n      validate: { input: event, schema: { type: objekt } }\n`;
  const wrong = flow
    .replace('event.data', "'$('")
    .replace('    - id: tell', `${schema}    - id: tell`)
    .replace('sources: [shop]', 'sources: shop');
  const { code, out } = await validate(source + wrong);
  expect(code).toBe(1);
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^\S+all\.yaml:10:9 spec\.on\.sources: must be a list$/),
    expect.stringMatching(/^\S+all\.yaml:13:14 spec\.steps\.0\.map\.expression: /),
    expect.stringMatching(/^\S+all\.yaml:15:33 spec\.steps\.1\.validate\.schema: is not a usable JSON Schema: type must be one of /),
  ]);
});

test.each([
  'text',
  '[]',
  '{ kind: 5 }',
  '{ kind: Flow, spec: { steps: 5, on: [] } }',
  '{ kind: Destination, spec: { headers: [1], kind: http } }',
])('what has hardly the shape of a document is refused: %s', async (text) => {
  expect((await validate(`a: 1\n---\n${text}`)).code).toBe(1);
});

test('what cannot be read does not hide the problems of the other files', async () => {
  writeFileSync(join(directory, 'a.yaml'), 'kind: Flow\nspec: {\n');
  mkdirSync(join(directory, 'b.yaml'));
  writeFileSync(join(directory, 'c.yaml'), Buffer.from([0x61, 0xff]));
  writeFileSync(path, source.replace('api-key', 'carrier-pigeon'));
  const { code, out, notes } = await runInTest(['validate', '-f', directory], { directory });
  expect([code, notes.split('\n').at(-1)]).toEqual([1, expect.stringMatching(/problems in 1 document\.$/)]);
  expect(out).toMatch(/a\.yaml:3:1 /);
  expect(out).toMatch(/c\.yaml:1:2 is not UTF-8/);
  expect(out).toMatch(/all\.yaml:4:9 spec\.scheme: /);
});

test('with --json a problem is one line of JSON', async () => {
  const { out } = await validate(source.replace('api-key', 'carrier-pigeon'), '--json');
  expect(JSON.parse(out)).toEqual({ at: `${path}:4:9`, field: 'spec.scheme', message: expect.any(String) as string });
});
