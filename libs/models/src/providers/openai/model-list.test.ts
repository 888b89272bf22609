import { expect, test } from 'vitest';
import { modelNamesIn } from './model-list.js';

test.each([
  ['OpenAI', { object: 'list', data: [{ id: 'gpt-4o', object: 'model' }, { id: 'o3' }] }, ['gpt-4o', 'o3']],
  ['Together, a bare array', [{ id: 'a/b' }, { id: 'c/d' }], ['a/b', 'c/d']],
  ['Cohere and Ollama, by name', { models: [{ name: 'command-r' }, { model: 'llama3:latest' }] }, ['command-r', 'llama3:latest']],
  [
    'Mistral, with aliases',
    { data: [{ id: 'mistral-large-2411', aliases: ['mistral-large-latest'] }] },
    ['mistral-large-2411', 'mistral-large-latest'],
  ],
  ['a server that lists texts', { data: ['one', 'two', 'one'] }, ['one', 'two']],
  [
    'entries that are no models',
    { data: [null, 7, {}, { id: '' }, { id: 9 }, { id: 'a\u0000b' }, { id: 'x'.repeat(300) }, { id: 'good' }] },
    ['good'],
  ],
  ['the first of several pages', { data: [{ id: 'one' }], has_more: true }, []],
  ['a page with a token for the next one', { models: [{ name: 'one' }], next_page_token: 'abc' }, []],
  ['more than anybody can choose from', { data: Array.from({ length: 2_001 }, (_, at) => `m${at}`) }, []],
  ['an empty list', { object: 'list', data: [] }, []],
  ['no list', { data: { id: 'one' } }, []],
  ['no object', 'models', []],
  ['null', null, []],
])('the names in the list of %s', (_, value, names) => {
  expect(modelNamesIn(value)).toEqual(names);
});
