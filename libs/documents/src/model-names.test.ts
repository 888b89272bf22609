import { describe, expect, test } from 'vitest';
import { isListed, nearestNames } from './model-names.js';

describe('a name is listed', () => {
  test.each([
    ['as it is', 'gpt-4o', ['gpt-4o-mini', 'gpt-4o'], true],
    ['with the prefix of Gemini', 'gemini-2.5-flash', ['models/gemini-2.5-flash'], true],
    ['with the tag that Ollama adds', 'llama3.2', ['llama3.2:latest'], true],
    ['without the variant of OpenRouter', 'openai/gpt-4o:online', ['openai/gpt-4o'], true],
    ['by a pattern of LiteLLM', 'openai/gpt-4o', ['openai/*'], true],
    ['not with another tag', 'llama3.2:70b', ['llama3.2:latest', 'llama3.2:1b'], false],
    ['not as the beginning of another one', 'gpt-4', ['gpt-4o'], false],
    ['not in another case, which some providers tell apart', 'GPT-4o', ['gpt-4o'], false],
  ])('%s', (_, name, listed, is) => {
    expect(isListed(name, listed)).toBe(is);
  });
});

describe('the nearest names', () => {
  const listed = ['gpt-4o', 'gpt-4o-mini', 'gpt-3.5-turbo', 'text-embedding-3-small', 'anthropic/claude-sonnet-4', 'local/rules-1'];
  test.each([
    ['a letter too many', 'gpt-4o-minni', ['gpt-4o-mini', 'gpt-4o']],
    ['another case', 'GPT-4o', ['gpt-4o', 'gpt-4o-mini']],
    ['other punctuation', 'gpt4o', ['gpt-4o', 'gpt-4o-mini']],
    ['without the name of its maker', 'claude-sonnet-4', ['anthropic/claude-sonnet-4']],
    ['a part that is missing', 'local/rules', ['local/rules-1']],
    ['nothing like it', 'mistral-large', []],
    ['nothing that has letters', '—', []],
  ])('of %s', (_, given, nearest) => {
    expect(nearestNames(given, listed)).toEqual(nearest);
  });

  test('are at most three', () => {
    expect(nearestNames('model', ['model-1', 'model-2', 'model-3', 'model-4'])).toEqual(['model-1', 'model-2', 'model-3']);
  });
});
