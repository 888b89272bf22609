import type { HttpAnswer } from '#libs/http';
import { parseRetryAfter } from '#libs/retries';
import { DeliveryGone, DeliveryRefused, DeliveryUnauthorized, DeliveryUnavailable } from '../connector.errors.js';
import type { Receipt } from '../connector.js';

/**
 * Statuses below 500 that pass: the request timed out on the way (408), a request with the same idempotency key is still at work (409), too
 * early (425), too many (429).
 */
const passing = new Set([408, 409, 425, 429]);
/** The statuses with which `Retry-After` is meant for us (RFC 9110 §15.6.4, RFC 6585 §4). */
const saysWhen = new Set([429, 503]);
/** A destination may ask for a pause, not for ever. */
const longestPauseMs = 24 * 3_600_000;

/**
 * What an answer means for the delivery. A redirect is a refusal: the address in the document is the one that was checked.
 * @throws DeliveryUnavailable, DeliveryUnauthorized, DeliveryGone, DeliveryRefused
 */
export function acceptAnswer({ status, headers, bodyExcerpt }: HttpAnswer, nowMs: number): Receipt {
  const receipt = { status, excerpt: bodyExcerpt };
  if (status >= 200 && status < 300) return receipt;
  if (status >= 500 || passing.has(status)) {
    const asked = saysWhen.has(status) ? parseRetryAfter(headers['retry-after'], nowMs) : undefined;
    throw new DeliveryUnavailable(receipt, asked === undefined ? undefined : Math.min(asked, longestPauseMs));
  }
  if (status === 401) throw new DeliveryUnauthorized(receipt);
  throw status === 410 ? new DeliveryGone(receipt) : new DeliveryRefused(receipt);
}
