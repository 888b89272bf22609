import type { Json } from '#libs/json';
import { LosslessNumber } from '#libs/json';

/** A form-encoded body. What is nested is written with brackets, lists with their positions: `items[0][price]=…`, as Stripe and PHP read them. */
export function formBody(value: Json): string {
  return entriesOf('', value)
    .map(([name, text]) => `${encodeURIComponent(name).replaceAll('%5B', '[').replaceAll('%5D', ']')}=${encodeURIComponent(text)}`)
    .join('&');
}

/** Null is an empty text, by which such systems unset a value. */
function entriesOf(name: string, value: Json): [name: string, text: string][] {
  if (value === null) return [[name, '']];
  if (typeof value !== 'object' || value instanceof LosslessNumber) return [[name, String(value)]];
  const entries: [string, Json][] = Array.isArray(value) ? value.map((item, at) => [String(at), item]) : Object.entries(value);
  return entries.flatMap(([key, item]) => entriesOf(name === '' ? key : `${name}[${key}]`, item));
}
