import { expect, test } from 'vitest';
import { doubtsAbout, readDocument } from './document-problems.js';
import type { ModelList } from './unlisted-models.js';

function doubts(models: readonly string[], lists: readonly ModelList[]): string[] {
  const infer = (model: string) => ({ model, instructions: 'i', output: { type: 'object' } });
  const read = readDocument({
    apiVersion: 'millrace/v1',
    kind: 'Flow',
    metadata: { tenant: 'acme', name: 'triage' },
    spec: { on: {}, steps: models.map((model, at) => ({ id: `s${at}`, infer: infer(model) })) },
  });
  if ('problems' in read) throw new Error(JSON.stringify(read.problems));
  return doubtsAbout(read.document, lists).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const listedAt = new Date('2026-11-29T10:00:00Z');
const openAi: ModelList = { address: 'https://one.example/v1', models: ['gpt-4o', 'gpt-4o-mini', 'o3', 'o4', 'whisper'], listedAt };
const other: ModelList = { address: 'https://two.example/v1', models: ['claude-sonnet-4'], listedAt };

test('a model that no provider lists is a doubt, with its field, the nearest names, who was asked and when', () => {
  expect(doubts(['gpt-4o', 'gpt-4o-minni', 'mistral'], [openAi])).toEqual([
    'spec.steps.1.infer.model: is listed by no model provider, so runs would fail at this step with model.refused: gpt-4o-minni; did you mean gpt-4o-mini or gpt-4o? (asked: https://one.example/v1 at 2026-11-29T10:00:00.000Z; `millrace models` prints all names)',
    'spec.steps.2.infer.model: is listed by no model provider, so runs would fail at this step with model.refused: mistral; listed are gpt-4o, gpt-4o-mini, o3 and 2 more (asked: https://one.example/v1 at 2026-11-29T10:00:00.000Z; `millrace models` prints all names)',
  ]);
});

test('a model that one of several providers lists is none', () => {
  expect(doubts(['claude-sonnet-4', 'gpt-4o'], [openAi, other])).toEqual([]);
  expect(doubts(['claude-sonnet-5'], [openAi, other])).toEqual([expect.stringContaining('did you mean claude-sonnet-4?')]);
});

test.each([
  ['nothing is known of any provider', []],
  ['a provider lists nothing', [openAi, { ...other, models: [], listedAt }]],
  ['a provider never answered', [openAi, { ...other, models: null, listedAt: null }]],
])('no model is a doubt while %s', (_, lists) => {
  expect(doubts(['mistral'], lists)).toEqual([]);
});

test('names of many models are compared with a long list in a bounded time', () => {
  const models = Array.from({ length: 2_000 }, (_, at) => `maker-${at % 40}/some-model-${at}-instruct`);
  const found = doubts(
    Array.from({ length: 50 }, (_, at) => `maker-${at}/some-modle-instruct`),
    [{ ...other, models }],
  );
  expect(found).toHaveLength(50);
  expect(found.filter((message) => message.includes('did you mean'))).toHaveLength(5);
});
