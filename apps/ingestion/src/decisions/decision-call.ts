import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { bodyFormat, decisionWaitMs, usualRequestType } from '#libs/contracts';
import { usableCustomer, usableText } from '#libs/intake';
import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { MediaTypeUnsupported, RequestInvalid } from '#libs/service';
import { BodyMalformed, readBody } from '#libs/sources';
import { idempotencyKey } from '../intake/idempotency-key.js';

/** The body of a call: the data of the event, and what is read from it. */
export interface DecisionCall {
  readonly data: Readonly<Record<string, Json>>;
  /** The body as it was written. */
  readonly text: string;
  readonly id: string;
  /** False: the id is new, so the call repeats none. */
  readonly mayRepeat: boolean;
  readonly customer: string;
  readonly type: string;
}

/** @throws MediaTypeUnsupported, BodyMalformed, RequestInvalid */
export function readDecisionCall(headers: IncomingHttpHeaders, rawBody: Buffer): DecisionCall {
  const contentType = headers['content-type'];
  if (contentType === undefined || bodyFormat(contentType) !== 'json') throw new MediaTypeUnsupported(contentType, 'application/json');
  const { value: data, text } = readBody(contentType, rawBody, 'body');
  if (data === null || typeof data !== 'object' || Array.isArray(data) || data instanceof LosslessNumber)
    throw new BodyMalformed('body', 'is not an object');
  if (data['customer'] === undefined) throw new RequestInvalid('customer', 'is missing: the id of the customer whom the decision is about');
  const customer = usableCustomer(data['customer']);
  if (customer === null)
    throw new RequestInvalid('customer', 'must be 1 to 256 characters, no control characters, and not - or what begins with -/');
  const id = given(data, 'id') ?? idempotencyKey(headers);
  return {
    data,
    text: text!,
    id: id ?? randomUUID(),
    mayRepeat: id !== undefined,
    customer,
    type: given(data, 'type') ?? usualRequestType,
  };
}

/** @throws RequestInvalid */
function given(data: Readonly<Record<string, Json>>, field: 'id' | 'type'): string | undefined {
  const value = data[field];
  if (value === undefined || value === null) return undefined;
  const text = usableText(value);
  if (text === null) throw new RequestInvalid(field, 'must be 1 to 256 characters, no control characters');
  return text;
}

/** How a caller wants to be answered. */
export interface CallerWait {
  /** How long the caller waits, ms; 0: not at all. */
  readonly waitMs: number;
  /** True: a caller who waited in vain gets a job, and the flow goes on; false: the default decision. */
  readonly isAsync: boolean;
  /** The preferences that are kept, for the header `Preference-Applied`; undefined: the caller has none. */
  readonly applied: string | undefined;
}

/**
 * Reads the header `Prefer` (RFC 7240). Preferences that cannot be read do not count, as the standard says; a longer wait than the longest is the longest.
 * @param usualMs the wait of a caller who prefers nothing
 */
export function waitOf(prefer: string | string[] | undefined, usualMs: number): CallerWait {
  const preferences = preferencesOf(prefer);
  const isAsync = preferences.has('respond-async');
  const seconds = /^\d{1,9}$/.test(preferences.get('wait') ?? '') ? Number(preferences.get('wait')) : undefined;
  if (seconds === 0 || (seconds === undefined && isAsync))
    return { waitMs: 0, isAsync: true, applied: isAsync ? 'respond-async' : 'wait=0' };
  if (seconds === undefined) return { waitMs: usualMs, isAsync: false, applied: undefined };
  const waitMs = Math.min(seconds * 1_000, decisionWaitMs.longest);
  return { waitMs, isAsync, applied: `${isAsync ? 'respond-async, ' : ''}wait=${waitMs / 1_000}` };
}

/** The first value of each preference. Parameters of preferences are left out, because those that are read here have none. */
function preferencesOf(prefer: string | string[] | undefined): Map<string, string> {
  const found = new Map<string, string>();
  for (const preference of String(prefer ?? '').split(',')) {
    const [name = '', value = ''] = preference.split(';', 1)[0]!.split('=', 2);
    const key = name.trim().toLowerCase();
    if (key !== '' && !found.has(key)) found.set(key, value.trim().replaceAll('"', ''));
  }
  return found;
}
