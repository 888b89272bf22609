import { expect, test } from 'vitest';
import { typeMatcher } from './type-pattern.js';

test.each([
  [['invoice.paid'], 'invoice.paid', true],
  [['invoice.paid'], 'invoice.paid.late', false],
  [['invoice.*'], 'invoice.paid', true],
  [['invoice.*'], 'invoice', false],
  [['*'], 'anything', true],
  [['*.created', 'ping'], 'ping', true],
  [['*.created'], 'customer.subscription.created', true],
  [['a*b*c'], 'a-b-c', true],
  [['a*b*c'], 'acb', false],
  [['ab*ba'], 'aba', false],
  [['orders/(paid)'], 'orders/(paid)', true],
  [['orders.paid'], 'orders/paid', false],
  [[], 'ping', false],
])('%j on %s: %s', (patterns, type, fits) => {
  expect(typeMatcher(patterns)(type)).toBe(fits);
});

test('a pattern of many stars cannot hold up the caller', () => {
  expect(typeMatcher(['*a'.repeat(100)])('a'.repeat(99))).toBe(false);
});
