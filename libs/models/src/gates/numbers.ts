import { LosslessNumber } from '#libs/json';

/** The digit zero of scripts whose digits are read as ours: Arabic, Persian, Devanagari, Bengali, Thai, full width. */
const zeros = [0x0660, 0x06f0, 0x0966, 0x09e6, 0x0e50, 0xff10];
const foreignDigit = new RegExp(`[${zeros.map((zero) => `${String.fromCharCode(zero)}-${String.fromCharCode(zero + 9)}`).join('')}]`, 'g');

const token = /\d+(?:[.,'\u2019]\d+)*/g;
/** Groups of three digits with spaces between them, which can be narrow or must not break. */
const spaced = /(?<![\d.,])\d{1,3}(?:[ \u00A0\u2009\u202F]\d{3})+(?:[.,]\d+)?(?!\d)/g;
const spaces = /[ \u00A0\u2009\u202F]/g;

/** The number in the one form that all ways of writing it have. */
export function canonicalNumber(value: number | LosslessNumber): string {
  return (value instanceof LosslessNumber ? value : new LosslessNumber(String(value))).canonical();
}

/**
 * All numbers that stand in a text, in canonical form. `1,234.50`, `1.234,50`, `1 234.50` and `1'234.50` are one number; `1,234` and `1.234` are two: with
 * a separator of thousands, and with one of decimals. Of what is no number, such as a date or a version, each part is one. A minus counts where no letter
 * or digit stands before it.
 */
export function* numbersIn(given: string): Generator<string> {
  const text = withOwnDigits(given);
  for (const found of text.matchAll(token)) yield* signed(text, found.index, readingsOf(found[0]));
  for (const found of text.matchAll(spaced)) yield* signed(text, found.index, readingsOf(found[0].replace(spaces, '')));
}

/** The numbers that a whole text can be read as; none if it is no number. */
export function readingsOfWhole(given: string): string[] {
  const text = withOwnDigits(given).trim();
  const [, minus, number] = /^([-\u2212]?)((?:\d{1,3}(?:[ \u00A0\u2009\u202F]\d{3})+|\d+)(?:[.,'\u2019]\d+)*)$/.exec(text) ?? [];
  if (number === undefined) return [];
  const bare = number.replace(spaces, '');
  return wholeReadings(bare).map((reading) => canonicalOf((minus === '' ? '' : '-') + reading));
}

function withOwnDigits(text: string): string {
  return text.replace(foreignDigit, (digit) => String(digit.charCodeAt(0) - zeros.findLast((zero) => zero <= digit.charCodeAt(0))!));
}

function* signed(text: string, at: number, readings: readonly string[]): Generator<string> {
  const isNegative = /[-\u2212]/.test(text[at - 1] ?? '') && !/[\p{L}\p{N}]/u.test(text[at - 2] ?? '');
  for (const reading of readings) yield canonicalOf(isNegative ? `-${reading}` : reading);
}

/** The readings of a token as one number; else those of its parts. */
function readingsOf(number: string): string[] {
  const whole = wholeReadings(number);
  return whole.length > 0 ? whole : number.split(/\D/);
}

function wholeReadings(number: string): string[] {
  const separators = number.replaceAll(/\d/g, '').replaceAll('\u2019', "'");
  if (separators === '') return [number];
  const parts = number.split(/\D/);
  const last = separators.at(-1)!;
  const before = separators.slice(0, -1);
  const readings: string[] = [];
  if (isOneKind(separators) && areGroups(parts)) readings.push(parts.join(''));
  const isDecimal = last !== "'" && !before.includes(last) && isOneKind(before) && (before === '' || areGroups(parts.slice(0, -1)));
  if (isDecimal) readings.push(`${parts.slice(0, -1).join('')}.${parts.at(-1)}`);
  return readings;
}

function isOneKind(separators: string): boolean {
  return separators.split('').every((separator) => separator === separators[0]);
}

/** Thousands; or in the Indian way, with pairs before the last three digits. */
function areGroups([first = '', ...others]: readonly string[]): boolean {
  const rest = others.slice(0, -1);
  if (first.length > 3 || others.at(-1)?.length !== 3) return false;
  return rest.every(({ length }) => length === 3) || (first.length <= 2 && rest.every(({ length }) => length === 2));
}

function canonicalOf(text: string): string {
  return new LosslessNumber(text).canonical();
}
