const digits = Symbol('digits');

/** Makes an object that `JSON.stringify` writes as this text: https://github.com/tc39/proposal-json-parse-with-source */
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => object };

/**
 * A JSON number whose text a JavaScript number would not give back: more digits than a double keeps (`9007199254740993`), an exponent out of range
 * (`1e400`), or another way of writing (`10.00`). `JSON.stringify` writes its digits as they were read. `Number(it)` is the nearest double.
 */
export class LosslessNumber {
  /** Under a symbol, so that code which goes through the keys of JSON objects finds none. */
  private readonly [digits]: string;

  /** @param text a number by the grammar of JSON */
  constructor(text: string) {
    this[digits] = text;
  }

  /** The digits as they were written. */
  toString(): string {
    return this[digits];
  }

  valueOf(): number {
    return Number(this[digits]);
  }

  /** True if the nearest double is this number, so that only the way of writing differs: `10.00`, `1E3`. */
  isDouble(): boolean {
    return canonical(this[digits]) === canonical(String(Number(this[digits])));
  }

  /** A text that is the same for all ways of writing the same number. */
  canonical(): string {
    return canonical(this[digits]);
  }

  toJSON(): object {
    return rawJSON(this[digits]);
  }
}

/** The JSON number of this text. What `JSON.stringify` wrote for a JavaScript number is that number again. */
export function numberOf(text: string): number | LosslessNumber {
  const value = Number(text);
  return String(value) === text ? value : new LosslessNumber(text);
}

/** The value with the nearest double in the place of each lossless number; the value itself if it holds none. */
export function asDoubles(value: unknown): unknown {
  return mapLosslessNumbers(value, Number);
}

/** The value with another one in the place of each lossless number; the value itself if it holds none. */
export function mapLosslessNumbers(value: unknown, map: (number: LosslessNumber) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof LosslessNumber) return map(value);
  if (Array.isArray(value)) {
    const items = value.map((item) => mapLosslessNumbers(item, map));
    return items.some((item, at) => item !== value[at]) ? items : value;
  }
  const entries = Object.entries(value);
  const mapped = entries.map(([key, item]) => [key, mapLosslessNumbers(item, map)] as const);
  return mapped.some(([, item], at) => item !== entries[at]![1]) ? Object.fromEntries(mapped) : value;
}

/** Runs before each evaluation of an expression. It makes no list and calls no function for values that are neither arrays nor objects. */
export function holdsLosslessNumber(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof LosslessNumber) return true;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) {
      const item: unknown = value[at];
      if (typeof item === 'object' && holdsLosslessNumber(item)) return true;
    }
    return false;
  }
  // Inherited keys are none of JSON's, and `Object.keys` would make a list.
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object' && holdsLosslessNumber(item)) return true;
  }
  return false;
}

/** Digits without zeros at either end, and an exponent. */
function canonical(text: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const significant = (whole + fraction).replace(/^0+/, '');
  if (significant === '') return '0';
  const digitsOnly = withoutZerosAtEnd(significant);
  return `${sign}${digitsOnly}e${Number(exponent) - fraction.length + significant.length - digitsOnly.length}`;
}

/** A regular expression would try each zero inside the text as a start. */
function withoutZerosAtEnd(text: string): string {
  let end = text.length;
  while (text[end - 1] === '0') end -= 1;
  return text.slice(0, end);
}
