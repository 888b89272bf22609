import { describe, expect, it } from 'vitest';
import { analyse } from './analysis.js';

const assess = (text: string) => analyse([text]).assessment;

describe('the scorecard', () => {
  it('gives a reason for every point', () => {
    expect(assess('URGENT: our production is down and all of our users see errors!!!')).toEqual({
      score: 93,
      reasons: [
        'It reports an outage or data loss.',
        'It asks for an answer at once.',
        'Something failed or does not work.',
        'The sentiment is negative.',
        'It is written in capitals or with many exclamation marks.',
      ],
    });
  });

  it('leaves a quiet question where it is', () => {
    expect(assess('Which sizes do you have?')).toEqual({ score: 10, reasons: ['Nothing in it asks for haste.'] });
  });

  it('counts what speaks for a fraud, as a flow says it of an order', () => {
    const signs = [
      'The countries of payment and delivery differ.',
      'It is the first order of this customer.',
      'The mail address is a disposable mail address.',
    ];
    const { score, reasons } = assess(signs.join('\n'));
    expect({ score, reasons }).toEqual({
      score: 72,
      reasons: [
        'The countries of payment and delivery differ.',
        'The mail address is a disposable one.',
        'It is the first order of the customer.',
      ],
    });
  });

  it('counts a large sum', () => {
    expect(assess('The invoice is over $25,000.').reasons).toContain('The sum at stake is 10,000 or more.');
    expect(assess('The invoice is over $2,500.').reasons).toContain('The sum at stake is 1,000 or more.');
  });

  it('stays between 0 and 100', () => {
    expect(assess('Thanks, lovely, wonderful, no rush at all.').score).toBe(0);
    expect(assess('Urgent: fraud, outage, chargeback, lawyer, payment failed, cancel, crash, still waiting!!').score).toBe(100);
  });

  it('has a person look at what is not English', () => {
    expect(assess('Ich warte seit zwei Wochen auf meine Bestellung und bin sehr verärgert.')).toEqual({
      score: 50,
      reasons: ['The text is in German, and only English is judged; a person should look.'],
    });
  });
});
