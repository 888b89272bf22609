import { describe, expect, it } from 'vitest';
import { readSource, wordsOf } from './source-text.js';

const read = (value: unknown) => readSource([JSON.stringify(value)]);

describe('readSource', () => {
  it('takes the start of a long text and of a long word, which takes no time that grows with its square', () => {
    const long = 'x'.repeat(1_000_000);
    expect(readSource([`It is ${long} late`]).passages[0]!.length).toBeLessThan(200);
    expect(read({ message: long }).strings.every(({ length }) => length <= 100)).toBe(true);
    expect(readSource(['late '.repeat(100_000)]).passages[0]!.length).toBeLessThanOrEqual(20_000);
  });

  it('takes text for what a person wrote', () => {
    expect(readSource(['My order is late.']).passages).toEqual(['My order is late.']);
  });

  it('finds what people wrote in a payload, the message before the title', () => {
    const source = read({ id: 7, issue: { title: 'Login is broken', body: 'It crashes when I log in.' } });
    expect(source.passages).toEqual(['It crashes when I log in.', 'Login is broken']);
  });

  it('reads identifiers of what happened as words', () => {
    const source = read({ type: 'charge.dispute.created', data: { status: 'needs_response', failure_code: 'card_declined' } });
    expect(source.facts).toEqual([
      { name: 'type', value: 'charge dispute created' },
      { name: 'status', value: 'needs response' },
      { name: 'failure code', value: 'card declined' },
    ]);
  });

  it('leaves ids, addresses, moments and people out of the words', () => {
    const words = wordsOf(
      read({
        id: 'evt_1NG8Du2eZvKYlo2CUI79vXWy',
        url: 'https://example.com/very-bad-error',
        created_at: '2026-11-21T08:00:00Z',
        email: 'angry@example.com',
        name: 'Joy Happy',
        message: 'Where is it?',
      }),
    );
    expect(words).toBe('Where is it?');
  });

  it('leaves out what only describes the surroundings', () => {
    const source = read({
      comment: { body: 'Looks good to me.' },
      repository: { description: 'The worst tool ever made' },
      sender: { bio: 'I hate bugs' },
    });
    expect(wordsOf(source)).toBe('Looks good to me.');
  });

  it('still keeps every string for entities', () => {
    expect(read({ email: 'a@b.example', id: 'ord_12345678' }).strings).toEqual(['a@b.example', 'ord_12345678']);
  });

  it('reads JSON inside a string as JSON', () => {
    expect(read({ payload: JSON.stringify({ text: 'I need a refund' }) }).passages).toEqual(['I need a refund']);
  });

  it('takes whole cents beside a lower-case currency for cents, and anything else as it is written', () => {
    expect(read({ amount: 12_999, currency: 'usd' }).sums).toEqual([{ amount: 129.99, currency: 'USD' }]);
    expect(read({ total_price: '398.00', currency: 'USD' }).sums).toEqual([{ amount: 398, currency: 'USD' }]);
    expect(read({ amount: 5_000, currency: 'jpy' }).sums).toEqual([{ amount: 5_000, currency: 'JPY' }]);
  });

  it('drops markup from what people wrote', () => {
    expect(read({ body: '<p>Please <b>help</b> me</p>' }).passages[0]!.replaceAll(/\s+/g, ' ')).toBe('Please help me');
  });

  it('survives a payload nested without end', () => {
    let nested: unknown = 'deep text here';
    for (let depth = 0; depth < 2_000; depth += 1) nested = { message: nested };
    expect(wordsOf(read(nested))).toBe('');
  });

  it('finds nothing in nothing', () => {
    expect(readSource(['']).passages).toEqual([]);
    expect(readSource(['{}', 'null']).passages).toEqual(['null']);
  });
});
