import { describe, expect, it } from 'vitest';
import { readEnglish } from '../text/english.js';
import { judgeSentiment } from './sentiment.js';

const judge = (text: string) => judgeSentiment(readEnglish(text));

describe('judgeSentiment', () => {
  it('says what decided it', () => {
    expect(judge('I was charged twice and the support is rude.').evidence).toEqual(['charged twice', 'rude']);
  });

  it('turns a negated word round', () => {
    expect(judge('I am happy.').score).toBeGreaterThan(0);
    expect(judge('I am not happy.').score).toBeLessThan(0);
    expect(judge("It isn't bad.").score).toBeGreaterThan(0);
  });

  it('takes a phrase with a negation for what it means as a whole', () => {
    expect(judge('No problem, no complaints.').label).toBe('positive');
    expect(judge('The app does not work.').label).toBe('negative');
  });

  it('finds nothing pleasant in asking for help', () => {
    expect(judge('Please help me, I need support with my order. Thanks in advance.').label).toBe('neutral');
  });

  it('weighs words by their degree', () => {
    expect(judge('extremely slow').score).toBeLessThan(judge('slow').score);
    expect(judge('slightly slow').score).toBeGreaterThan(judge('slow').score);
  });

  it('gives what follows "but" more weight than what precedes it', () => {
    expect(judge('The product is great but the delivery was a disaster.').label).toBe('negative');
    expect(judge('The delivery was a disaster but the product is great.').score).toBeGreaterThan(
      judge('The product is great but the delivery was a disaster.').score,
    );
  });

  it('has little confidence where it found nothing', () => {
    expect(judge('The parcel is on the table.')).toEqual({ label: 'neutral', score: 0, confidence: 0.3, evidence: [] });
  });
});
