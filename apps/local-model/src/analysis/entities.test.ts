import { describe, expect, it } from 'vitest';
import { readEnglish } from '../text/english.js';
import { readSource } from '../text/source-text.js';
import { findEntities } from './entities.js';

const find = (text: string) => findEntities(readSource([text]), readEnglish(text).dates).map(({ type, value }) => `${type} ${value}`);

describe('findEntities', () => {
  it.each([
    ['It cost $1,299.50 and then EUR 20 or 15 €.', ['money $1,299.50', 'money EUR 20', 'money 15 €']],
    ['Order #A-10293 and invoice no. 88131 are mine.', ['order A-10293', 'order 88131']],
    ['See #4711.', ['order 4711']],
    ['Write to jo.b+x@mail.example.com today', ['email jo.b+x@mail.example.com', 'date today']],
    ['It is at https://example.com/a?b=1.', ['url https://example.com/a?b=1']],
    ['Charge ch_3MmlLrLkdIwHu7ix failed', ['id ch_3MmlLrLkdIwHu7ix']],
    ['I want 3 replacement filters and a 10% discount', ['percent 10%', 'quantity 3 replacement filters']],
    ['Due on 2026-12-24', ['date 2026-12-24']],
    ['Due on Oct 3, 2026', ['date Oct 3, 2026']],
    ['I have waited 3 weeks', ['date 3 weeks']],
    ['Nothing to find here', []],
  ])('in %j', (text, expected) => {
    expect(find(text)).toEqual(expected);
  });

  it('reads the number and the currency of a sum', () => {
    expect(findEntities(readSource(['£1,234.56']), [])).toEqual([{ type: 'money', value: '£1,234.56', number: 1_234.56, currency: 'GBP' }]);
  });

  it('names each thing once', () => {
    expect(find('$5, and again $5')).toEqual(['money $5']);
  });
});
