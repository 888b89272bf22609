import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { eventOf } from '#libs/intake';
import type { DoorRequest } from '#libs/service';
import { readingGap, verificationGap } from './kept-request.js';
import type { KeptRequest } from './kept-request.js';
import { eventsOf, readRequest } from './received-events.js';
import type { Source, WebhookSource } from './source.js';
import { handshakeResponse, requireOwner, verifyWebhook } from './webhook.js';

/** A request as it was received once. */
export interface EarlierRequest extends KeptRequest {
  readonly clientAddress: string;
  readonly isProxied: boolean;
  /** True: it proved who sent it, when it was received. */
  readonly isVerified: boolean;
  readonly receivedAtMs: number;
}

/** Too little was kept of a request to say whether its source accepts it. */
export class RequestUnverifiable extends DomainError {
  readonly code = 'request.unverifiable';
  constructor(gap: string) {
    super(`The request cannot be verified again: ${gap}`);
  }
}

/**
 * Reads the events of a kept request by its source as that is now, at the time when it was received. The same way as at the door, except that a
 * request which proved who sent it then needs no proof again.
 * @throws RequestUnverifiable; otherwise as the door does
 */
export async function readAgain(source: Source & { webhook: WebhookSource }, earlier: EarlierRequest): Promise<EventReceived[]> {
  const { webhook } = source;
  const gap = earlier.isVerified ? readingGap(webhook, earlier) : verificationGap(webhook, earlier);
  if (gap !== undefined) throw new RequestUnverifiable(gap);
  const request = doorRequestOf(earlier);
  if (!earlier.isVerified) source.rules?.requireAddress(earlier.clientAddress);
  source.rules?.requireBodyBytes(earlier.bodyBytes);
  if (!earlier.isVerified && verifyWebhook(webhook, request) !== undefined)
    throw new RequestUnverifiable('it is one that its provider sends unsigned');
  const received = readRequest(webhook.preset, request);
  if (handshakeResponse(webhook, request, received.body) !== undefined)
    throw new RequestUnverifiable('it is a handshake, and brings no event');
  requireOwner(webhook, received.body);
  const { headers, receivedAtMs } = request;
  const events: EventReceived[] = [];
  for (const { payload, text, contentType, body } of eventsOf(webhook.preset, received)) {
    const fields = await source.fields.read({ body, headers });
    const event = eventOf({ source, payload, text, contentType, receivedAtMs }, fields);
    events.push(source.rules === undefined ? event : await source.rules.judged(event, body));
  }
  return events;
}

function doorRequestOf({ method, path, query, headers, body, clientAddress, isProxied, receivedAtMs }: EarlierRequest): DoorRequest {
  const rawHeaders = headers.flatMap(({ name, value }) => [name, value]);
  return {
    method,
    target: query === null ? path : `${path}?${query}`,
    address: '',
    headers: joined(headers),
    rawHeaders,
    clientAddress,
    isProxied,
    rawBody: body,
    receivedAtMs,
  };
}

/** Headers of which node:http keeps the first value only. Those that can change how an event is read; others are joined. */
const single = new Set(['content-type', 'content-length', 'content-encoding', 'user-agent', 'host', 'authorization', 'from', 'referer']);

/** The headers by their names, joined like node:http joins them. */
function joined(headers: KeptRequest['headers']): IncomingHttpHeaders {
  const found: Record<string, string> = {};
  for (const { name, value } of headers) {
    const key = name.toLowerCase();
    const before = found[key];
    if (before === undefined) found[key] = value;
    else if (!single.has(key)) found[key] = `${before}, ${value}`;
  }
  return found;
}
