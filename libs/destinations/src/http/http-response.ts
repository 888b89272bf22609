import type { Receipt } from '#libs/connectors';
import type { HttpResponse } from '#libs/http';
import { parseRetryAfter } from '#libs/retries';
import { DeliveryGone, DeliveryRefused, DeliveryUnauthorized, DeliveryUnavailable } from '../delivery.errors.js';

/**
 * Statuses below 500 that pass: the request timed out on the way (408), a request with the same idempotency key is still at work (409), too
 * early (425), too many (429).
 */
const passing = new Set([408, 409, 425, 429]);
/** The statuses with which `Retry-After` asks for a pause (RFC 9110 §15.6.4, RFC 6585 §4). */
const asksForPause = new Set([429, 503]);

/**
 * The receipt of a response with which the destination took the payload. A redirect refuses it: the address in the document is the one that
 * was checked.
 * @throws DeliveryUnavailable, DeliveryUnauthorized, DeliveryGone, DeliveryRefused
 */
export function receiptOf({ status, headers, bodyExcerpt: excerpt }: HttpResponse, nowMs: number): Receipt {
  const receipt = { summary: `status ${status}`, detail: { status, excerpt } };
  if (status >= 200 && status < 300) return receipt;
  if (status >= 500 || passing.has(status)) {
    const pauseMs = asksForPause.has(status) ? parseRetryAfter(headers['retry-after'], nowMs) : undefined;
    throw new DeliveryUnavailable(receipt, peerOf(status), pauseMs, isUncertain(status, pauseMs));
  }
  if (status === 401) throw new DeliveryUnauthorized(receipt);
  if (status === 410) throw new DeliveryGone(receipt);
  const isRedirect = status >= 300 && status < 400;
  throw new DeliveryRefused(isRedirect ? { ...receipt, summary: `${receipt.summary}, a redirect, which is not followed` } : receipt);
}

function peerOf(status: number): 'up' | 'failing' | 'limited' {
  if (status === 429) return 'limited';
  return status >= 500 ? 'failing' : 'up';
}

/**
 * After a 5xx nobody knows how far the request came: a server that failed may have acted before, and a gateway in between (502, 504, and many a 503)
 * knows only that no answer came back. Certain are a pause that was asked for, and the statuses of what a server does not do (501, 505).
 */
function isUncertain(status: number, pauseMs: number | undefined): boolean {
  return status >= 500 && pauseMs === undefined && status !== 501 && status !== 505;
}
