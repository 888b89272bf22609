import { describe, expect, it, test } from 'vitest';
import { LosslessNumber } from '#libs/json';
import { canonicalNumber, numbersIn, readingsOfWhole } from './numbers.js';

const isIn = (number: string, text: string): boolean => [...numbersIn(text)].includes(canonicalNumber(new LosslessNumber(number)));

describe('a number in a text', () => {
  it.each([
    ['1234.5', 'a total of 1234.50 EUR'],
    ['1234.5', 'a total of $1,234.50.'],
    ['1234.5', 'a total of 1.234,50 €'],
    ['1234.5', "a total of CHF 1'234.50"],
    ['1234.5', 'a total of 1 234,50 €'],
    ['1234.5', 'a total of 1\u00A0234.50 €'],
    ['1234567', '1,234,567 people'],
    ['1234567', '12,34,567 rupees'],
    ['1234', 'either 1,234'],
    ['1.234', 'or 1,234'],
    ['12.5', '12,5 %'],
    ['-5', 'a balance of -5'],
    ['-5', 'a balance of \u22125'],
    ['20', '10-20 days'],
    ['2024', 'since 24.12.2024'],
    ['100', '100EUR'],
    ['12345678901234567890', 'order 12345678901234567890'],
    ['42', 'الرقم ٤٢'],
    ['42', '４２'],
  ])('%s stands in: %s', (number, text) => expect(isIn(number, text)).toBe(true));

  it.each([
    ['234.5', 'a total of 1,234.50'],
    ['123', 'order 1234'],
    ['5', 'a balance of -5'],
    ['-20', '10-20 days'],
    ['1234.5', 'a total of 1,23,4.50'],
    ['12345678901234567891', 'order 12345678901234567890'],
    ['0.45', '45 %'],
    ['24.12', 'since 24.12.2024'],
  ])('%s does not stand in: %s', (number, text) => expect(isIn(number, text)).toBe(false));
});

test('a whole text is a number, or none', () => {
  expect(readingsOfWhole(' 1,234.50 ')).toEqual([canonicalNumber(1234.5)]);
  expect(readingsOfWhole('-1 234')).toEqual([canonicalNumber(-1234)]);
  expect(readingsOfWhole('1,234')).toEqual([canonicalNumber(1234), canonicalNumber(1.234)]);
  expect(['12 apples', '1.2.3', '', 'EUR 5', '1-2'].flatMap(readingsOfWhole)).toEqual([]);
});

test('reading takes a time in proportion to the text', () => {
  for (const part of ['123 4567 ', '1 234 ', '1,', '12.3.', '1', ' ', '-'])
    expect([...numbersIn(part.repeat(200_000 / part.length))].length).toBeLessThan(1_000_000);
});
