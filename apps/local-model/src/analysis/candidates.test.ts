import { expect, it } from 'vitest';
import { rankCandidates } from './candidates.js';

const candidates = [
  { id: 'p-1', title: 'Ceramic teapot', tags: ['kitchen'] },
  { id: 'p-2', title: 'Trail running shoes', tags: ['running', 'outdoor'] },
  { id: 'p-3', title: 'Running socks', tags: ['running'] },
  { id: 'p-4', title: 'Trail map of the Alps', tags: ['outdoor'] },
];
const ranked = (input: object) => rankCandidates([JSON.stringify(input)]);

it('ranks items by the words that they share with the rest of the input, and says which', () => {
  const found = ranked({ viewed: { title: 'Light trail shoes for running' }, candidates });
  expect(found.map(({ id }) => id)).toEqual(['p-2', 'p-3', 'p-4']);
  expect(found[0]).toMatchObject({
    title: 'Trail running shoes',
    score: 1,
    reason: 'It shares “shoes”, “trail” and “running” with what is known.',
  });
});

it('leaves out what is known already, by its id', () => {
  expect(ranked({ viewed: { id: 'p-2', title: 'Trail running shoes' }, bought: ['p-3'], candidates }).map(({ id }) => id)).toEqual(['p-4']);
});

it('keeps the order of the list where nothing speaks for one item', () => {
  const found = ranked({ viewed: { title: 'Umbrella' }, candidates });
  expect(found.map(({ id }) => id)).toEqual(['p-1', 'p-2', 'p-3', 'p-4']);
  expect(found[0]!.score).toBe(0);
});

it.each([
  ['no list', { viewed: { title: 'x' } }],
  ['a list without ids', { candidates: [{ title: 'x' }] }],
  ['no object', 'text'],
])('has none where there is %s', (_, input) => {
  expect(rankCandidates([typeof input === 'string' ? input : JSON.stringify(input)])).toEqual([]);
});
