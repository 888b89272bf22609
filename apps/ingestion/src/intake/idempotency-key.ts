import type { IncomingHttpHeaders } from 'node:http';
import { usableText } from '#libs/intake';
import { RequestInvalid } from '#libs/service';

/**
 * The value of the header `Idempotency-Key`, which replaces a missing `id`. An event with an `id` needs no key: the same id at the same source is
 * the same event.
 * @throws RequestInvalid
 */
export function idempotencyKey(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || key.length > 200 || usableText(key) === null) {
    throw new RequestInvalid('Idempotency-Key', 'must be 1 to 200 visible characters');
  }
  return key;
}
