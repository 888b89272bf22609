import type { Receipt } from '#libs/connectors';
import { clearText } from '#libs/contracts';
import type { DestinationSpecOf } from '#libs/contracts';
import { HostAddressForbidden, HostTimedOut, HostUnreachable } from '#libs/http';
import type { HttpClient, HttpResponse } from '#libs/http';
import { Redaction } from '#libs/redaction';
import { StandardWebhookSigner } from '#libs/signatures';
import { wallTimeMs } from '#libs/time';
import { DeliveryAddressForbidden, DeliveryTimedOut, DeliveryUnreachable } from '../delivery.errors.js';
import type { Deliverer, DelivererTools, OutboundDelivery } from '../deliverer.js';
import { receiptOf } from './http-response.js';

/** A POST signed by Standard Webhooks: https://www.standardwebhooks.com */
export class HttpDeliverer implements Deliverer<'http'> {
  private readonly http: HttpClient;
  /** By the opened version of a document. */
  private readonly prepared = new WeakMap<DestinationSpecOf<'http'>, PreparedDestination>();

  constructor({ http }: Pick<DelivererTools, 'http'>) {
    this.http = http;
  }

  async deliver(delivery: OutboundDelivery, destination: DestinationSpecOf<'http'>, signal: AbortSignal): Promise<Receipt> {
    const nowMs = wallTimeMs();
    const response = await this.post(delivery, destination, nowMs, signal);
    return receiptOf({ ...response, bodyExcerpt: this.preparedOf(destination).redaction.apply(response.bodyExcerpt) }, nowMs);
  }

  /** @throws SecretInvalid */
  private preparedOf(destination: DestinationSpecOf<'http'>): PreparedDestination {
    let known = this.prepared.get(destination);
    if (known === undefined) this.prepared.set(destination, (known = prepare(destination)));
    return known;
  }

  private async post(
    { id, payload, traceparent }: OutboundDelivery,
    destination: DestinationSpecOf<'http'>,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const { url, headers, signer } = this.preparedOf(destination);
    const signature = signer.sign({ id, timestampSeconds: Math.floor(nowMs / 1_000), body: payload });
    const own = {
      'content-type': 'application/json',
      'user-agent': 'Millrace',
      'idempotency-key': id,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...signature,
    };
    try {
      return await this.http.post({ url, headers: { ...headers, ...own }, body: payload, timeoutMs: destination.timeoutMs, signal });
    } catch (error) {
      throw failureOf(error);
    }
  }
}

/** The parts of one version of a document that every delivery needs. */
interface PreparedDestination {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signer: StandardWebhookSigner;
  readonly redaction: Redaction;
}

function prepare(destination: DestinationSpecOf<'http'>): PreparedDestination {
  const { url, headers, secret } = destination;
  return {
    url: clearText(url),
    headers: textsOf(headers),
    signer: new StandardWebhookSigner(clearText(secret)),
    redaction: new Redaction(credentialsIn(destination)),
  };
}

function failureOf(error: unknown): unknown {
  if (error instanceof HostUnreachable) return new DeliveryUnreachable(error, error.wasSent);
  if (error instanceof HostTimedOut) return new DeliveryTimedOut(error, error.wasSent);
  if (error instanceof HostAddressForbidden) return new DeliveryAddressForbidden(error);
  return error;
}

function textsOf(headers: DestinationSpecOf<'http'>['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, clearText(value)]));
}

/** Every text that a peer must not send back: the secrets of the document, and their parts. */
function credentialsIn({ url, headers, secret }: DestinationSpecOf<'http'>): string[] {
  const signing = clearText(secret);
  const values = Object.values(headers).flatMap((value) => (typeof value === 'string' ? [] : partsOfHeader(clearText(value))));
  return [signing, signing.replace(/^whsec_/, ''), ...values, ...(typeof url === 'string' ? [] : partsOfAddress(clearText(url)))];
}

/** A peer may repeat only the token of `Bearer abc123`, or the password that it decoded from `Basic …`. */
function partsOfHeader(value: string): string[] {
  const parts = value.split(/[\s;,]+/);
  const [scheme, encoded = ''] = parts;
  const [user, password] = scheme?.toLowerCase() === 'basic' ? split(Buffer.from(encoded, 'base64').toString(), ':') : [];
  return [value, ...parts, ...(password === undefined ? [] : [`${user}:${password}`, password])];
}

/** A peer sees the path and the query. */
function partsOfAddress(address: string): string[] {
  const { pathname, search, searchParams } = new URL(address);
  const token = pathname.split('/').toSorted((one, other) => other.length - one.length)[0]!;
  return [address, pathname + search, search, pathname, token, ...searchParams.values()];
}

function split(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
