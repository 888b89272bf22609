import { LosslessNumber, numberOf } from '#libs/json';
import type { Json } from '#libs/json';

type JsonSchema = { readonly [keyword: string]: Json };

/** A type whose values are one text in XML: https://www.w3.org/TR/xmlschema-2/ */
export interface Scalar {
  readonly schema: JsonSchema;
  /** The value of a text; the text itself if it is none of the type. */
  readonly read: (text: string) => Json;
}

const trimmed = (text: string): string => text.trim();
export const text: Scalar = { schema: { type: 'string' }, read: (value) => value };
const token: Scalar = { schema: { type: 'string' }, read: trimmed };
const boolean: Scalar = {
  schema: { type: 'boolean' },
  read: (value) => ({ true: true, '1': true, false: false, '0': false })[value.trim()] ?? value,
};
const decimal: Scalar = { schema: { type: 'number' }, read: readNumber };
const float: Scalar = { schema: { anyOf: [{ type: 'number' }, { enum: ['INF', '-INF', 'NaN'] }] }, read: readNumber };
const integer = (bounds: JsonSchema = {}): Scalar => ({ schema: { type: 'integer', ...bounds }, read: readNumber });

/** The types of XML Schema that are not texts. */
const types: Readonly<Record<string, Scalar>> = {
  string: text,
  normalizedString: text,
  boolean,
  decimal,
  float,
  double: float,
  integer: integer(),
  long: integer(),
  int: integer({ minimum: -2_147_483_648, maximum: 2_147_483_647 }),
  short: integer({ minimum: -32_768, maximum: 32_767 }),
  byte: integer({ minimum: -128, maximum: 127 }),
  nonNegativeInteger: integer({ minimum: 0 }),
  positiveInteger: integer({ minimum: 1 }),
  nonPositiveInteger: integer({ maximum: 0 }),
  negativeInteger: integer({ maximum: -1 }),
  unsignedLong: integer({ minimum: 0 }),
  unsignedInt: integer({ minimum: 0, maximum: 4_294_967_295 }),
  unsignedShort: integer({ minimum: 0, maximum: 65_535 }),
  unsignedByte: integer({ minimum: 0, maximum: 255 }),
};

/** A type that XML Schema brings along: dates, names, bytes and the like are texts. */
export function builtInScalar(name: string): Scalar {
  return Object.hasOwn(types, name) ? types[name]! : token;
}

/** A number of XML as one of JSON, which has no plus, no zeros before it and no bare point. */
function readNumber(given: string): Json {
  const [, sign = '', whole = '', , part = '', exponent = ''] = /^\s*([+-]?)(\d*)(\.(\d*))?([eE][+-]?\d+)?\s*$/.exec(given) ?? [];
  if (whole + part === '') return given.trim();
  const digits = whole.replace(/^0+(?=\d)/, '') || '0';
  return numberOf(`${sign === '-' ? '-' : ''}${digits}${part === '' ? '' : `.${part}`}${exponent}`);
}

/** A value as the text of an element or an attribute. */
export function scalarText(value: Json): string {
  if (typeof value === 'object' && !(value instanceof LosslessNumber)) return JSON.stringify(value);
  return String(value);
}
