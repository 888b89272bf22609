import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readDocument, uncompilable } from '#libs/documents';

const page = readFileSync('docs/flows.md', 'utf8');
/** The examples that are whole documents, by their names. */
const examples = [...page.matchAll(/^```yaml\n(apiVersion: [^`]*)```$/gm)].map(
  ([, text]) => parse(text!) as { metadata: { name: string } },
);

test('the page has an example of each kind of step that has others within it, or leads to other systems', () => {
  const names = ['triage', 'route-order', 'check-lines', 'assess-or-ask', 'order-with-score', 'rate-order', 'open-case'];
  expect(examples.map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining(names));
});

test.each(examples.map((example) => [example.metadata.name, example] as const))('the example %s can be applied', async (_, example) => {
  const read = readDocument(example);
  expect('problems' in read ? read.problems : await uncompilable(read.document)).toEqual([]);
});
