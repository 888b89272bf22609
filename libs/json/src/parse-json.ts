import type { Json } from './json.js';
import { scanJson } from './json-scan.js';
import { LosslessReader } from './lossless-reader.js';

/**
 * Parses JSON from outside.
 * @throws SyntaxError if it is not JSON; JsonTooDeep
 */
export function parseJson(text: string): Json {
  return parse(text, scanJson(text));
}

/**
 * Parses JSON that Millrace itself wrote: a record of the log, a column of Postgres. It can be nested deeper, by its envelopes.
 * @throws SyntaxError
 */
export function parseStoredJson(text: string): Json {
  return parse(text, scanJson(text, Infinity));
}

/** Nearly all texts have only ordinary numbers, and are parsed by the engine alone. */
function parse(text: string, mayHoldLossless: boolean): Json {
  const value = JSON.parse(text) as Json;
  return mayHoldLossless ? new LosslessReader(text).read() : value;
}
