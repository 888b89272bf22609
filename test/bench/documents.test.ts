import { expect, test } from 'vitest';
import { document } from '#libs/contracts';
import { eventDocuments } from './documents.js';

test('each flow of the bench of an event runs on the events of its own source alone, also the one of the samples', () => {
  const documents = eventDocuments('http://127.0.0.1:1/sink').map((given) => document.parse(given));
  const flows = documents.filter((one) => one.kind === 'Flow').map(({ metadata, spec }) => [metadata.name, spec.on]);
  expect(flows).toEqual([
    ['deliver', { sources: ['deliver'] }],
    ['assess', { sources: ['assess'] }],
  ]);
  expect(documents.filter(({ kind }) => kind === 'Source').map(({ metadata }) => metadata.name)).toEqual(['deliver', 'assess']);
});
