import { maxJsonDepth } from './json.js';

/** A text is nested deeper than {@link maxJsonDepth}. */
export class JsonTooDeep extends SyntaxError {
  constructor() {
    super(`is nested deeper than ${maxJsonDepth} levels`);
  }
}

const quote = 0x22;
const plus = 0x2b;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const nine = 0x39;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const upperE = 0x45;
const lowerE = 0x65;

/**
 * Reads a text once without parsing it, and without using the stack. Whether the text is JSON at all is left to `JSON.parse`.
 * @returns whether a number of the text may have to be a {@link LosslessNumber}
 * @throws JsonTooDeep
 */
export function scanJson(text: string, maxDepth = maxJsonDepth): boolean {
  let found = false;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === quote) at = endOfString(text, at);
    else if (character === openBrace || character === openBracket) {
      depth += 1;
      if (depth > maxDepth) throw new JsonTooDeep();
    } else if (character === closeBrace || character === closeBracket) depth -= 1;
    else if (character === minus || (character >= zero && character <= nine)) {
      const end = endOfNumber(text, at);
      if (!found) found = !isOrdinary(text, at, end);
      at = end - 1;
    }
  }
  return found;
}

/** The place of the closing quote; the end of the text if there is none. */
export function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return text.length;
}

/** The place after the last character that can belong to the number. */
export function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && isOfNumber(text.charCodeAt(at))) at += 1;
  return at;
}

function isOfNumber(character: number): boolean {
  return (
    isDigit(character) || character === point || character === lowerE || character === upperE || character === minus || character === plus
  );
}

function isDigit(character: number): boolean {
  return character >= zero && character <= nine;
}

/** After so many zeros behind the point, JavaScript writes a fraction with an exponent. */
const mostLeadingZeros = 5;

/**
 * True for numbers that JavaScript surely writes as they are: at most 15 digits, no zero at the end of a fraction, no exponent. False says nothing.
 */
function isOrdinary(text: string, numberStart: number, end: number): boolean {
  const isNegative = text.charCodeAt(numberStart) === minus;
  const start = isNegative ? numberStart + 1 : numberStart;
  if (end - start > 15) return false;
  const first = text.charCodeAt(start);
  if (!isDigit(first)) return false;
  if (end - start === 1) return !isNegative || first !== zero;
  let hasPoint = false;
  for (let at = start + 1; at < end; at += 1) {
    const character = text.charCodeAt(at);
    if (isDigit(character)) continue;
    if (character !== point) return false;
    hasPoint = true;
  }
  if (!hasPoint) return first !== zero;
  return text.charCodeAt(end - 1) !== zero && (first !== zero || leadingZeros(text, start + 2) <= mostLeadingZeros);
}

function leadingZeros(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) === zero) at += 1;
  return at - start;
}
