import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEnglish } from '../text/english.js';
import { shortened, summarise } from './summary.js';

const text = [
  'The export of our orders has failed every night since Monday.',
  'I had a nice weekend.',
  'Without the export our warehouse cannot ship the orders.',
  'The failed export blocks all orders in the warehouse.',
  'Kind regards, Ann',
].join(' ');

describe('summarise', () => {
  it('picks the sentences the others are about, in the order they were written', () => {
    const summary = summarise(readEnglish(text).sentences, []);
    expect(summary).toContain('The export of our orders has failed every night since Monday.');
    expect(summary.indexOf('since Monday')).toBeLessThan(summary.indexOf('blocks all orders'));
    expect(summary).not.toContain('weekend');
  });

  it('adds nothing that was not written', () => {
    const sentences = readEnglish(text).sentences;
    for (const sentence of readEnglish(summarise(sentences, [])).sentences) expect(text).toContain(sentence.text);
  });

  it('states the facts where nobody wrote anything', () => {
    expect(
      summarise(
        [],
        [
          { name: 'type', value: 'charge dispute created' },
          { name: 'reason', value: 'fraudulent' },
        ],
      ),
    ).toBe('Type: charge dispute created. Reason: fraudulent.');
  });

  it('is never longer than asked', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (maxLength) => {
        expect(summarise(readEnglish(text).sentences, [], maxLength).length).toBeLessThanOrEqual(maxLength);
      }),
    );
  });
});

describe('shortened', () => {
  it('cuts at a word and shows that it did', () => {
    expect(shortened('one two three four', 12)).toBe('one two…');
    expect(shortened('short', 12)).toBe('short');
    expect(shortened('see <a href="https://a.example" class="b">', 38)).toBe('see…');
    expect(shortened('1 < 2 and many more', 12)).toBe('1 < 2 and…');
  });
});
