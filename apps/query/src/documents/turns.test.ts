import { expect, test } from 'vitest';
import { Turns } from './turns.js';

test('those who ask take turns, and the process does something else between two of them', async () => {
  const turns = new Turns();
  const done: string[] = [];
  const over = new AbortController();
  const others = (async () => {
    while (!over.signal.aborted) {
      await new Promise((resolve) => setImmediate(resolve));
      done.push('other');
    }
  })();
  const three = async (name: string): Promise<void> => {
    for (let at = 0; at < 3; at += 1) await turns.take(name, () => done.push(name));
  };
  await Promise.all([three('a'), three('b')]);
  over.abort();
  await others;
  expect(done.filter((name) => name !== 'other')).toEqual(['a', 'b', 'a', 'b', 'a', 'b']);
  const adjacent = done.filter((name, at) => name !== 'other' && at > 0 && done[at - 1] !== 'other');
  expect(adjacent).toEqual([]);
});

test('an owner with many units waits after each of them for one of every other owner', async () => {
  const turns = new Turns();
  const done: string[] = [];
  const ask = (owner: string): Promise<unknown> => turns.take(owner, () => done.push(owner));
  await Promise.all([ask('many'), ask('many'), ask('many'), ask('many'), ask('one'), ask('two'), ask('one')]);
  expect(done).toEqual(['many', 'one', 'two', 'many', 'one', 'many', 'many']);
});

test('a unit that fails fails for the one who asked, and the next one runs', async () => {
  const turns = new Turns();
  const failing = turns.take('a', () => {
    throw new Error('no');
  });
  const next = turns.take('a', () => 'yes');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
