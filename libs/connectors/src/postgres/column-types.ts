import { numberOf, parseJson } from '#libs/json';
import type { Json } from '#libs/json';

const numbers = new Set([20, 21, 23, 26, 700, 701, 1700]); // int8, int2, int4, oid, float4, float8, numeric
const documents = new Set([114, 3802]); // json, jsonb
const boolean = 16;

/**
 * How columns become JSON: numbers with all their digits, booleans and JSON as such, everything else as the text that the server writes. A number that
 * JSON does not have, such as NaN, is a text.
 */
export const columnTypes = {
  getTypeParser:
    (oid: number) =>
    (value: string): Json => {
      if (numbers.has(oid)) return /^-?\d/.test(value) ? numberOf(value) : value;
      if (documents.has(oid)) return parseJson(value);
      return oid === boolean ? value === 't' : value;
    },
};
