import { clearText } from '#libs/contracts';
import type { DestinationSpecOf } from '#libs/contracts';
import { HostAddressForbidden, HostTimedOut, HostUnreachable, HttpClient } from '#libs/http';
import type { HttpResponse } from '#libs/http';
import { signStandardWebhook } from '#libs/signatures';
import { DeliveryAddressForbidden, DeliveryTimedOut, DeliveryUnreachable } from '../connector.errors.js';
import type { Connector, ConnectorOptions, OutboundDelivery, Receipt } from '../connector.js';
import { redacted } from '../redacted.js';
import { receiptOf } from './http-response.js';

/** Headers of the document whose values are credentials. */
const credentialHeader = /auth|cookie|token|key|secret|password/i;

/** A POST signed by Standard Webhooks: https://www.standardwebhooks.com */
export class HttpConnector implements Connector<'http'> {
  private readonly http: HttpClient;

  constructor({ allowPrivateAddresses, connectionsPerPeer }: ConnectorOptions) {
    this.http = new HttpClient({
      allowPrivateAddresses,
      ...(connectionsPerPeer === undefined ? {} : { connectionsPerOrigin: connectionsPerPeer }),
    });
  }

  async deliver(delivery: OutboundDelivery, destination: DestinationSpecOf<'http'>, signal: AbortSignal): Promise<Receipt> {
    const nowMs = Date.now();
    const response = await this.post(delivery, destination, nowMs, signal);
    return receiptOf({ ...response, bodyExcerpt: redacted(response.bodyExcerpt, credentialsIn(destination)) }, nowMs);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  private async post(
    { id, payload, traceparent }: OutboundDelivery,
    { url, headers, secret, timeoutMs }: DestinationSpecOf<'http'>,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const signature = signStandardWebhook(clearText(secret), { id, timestampSeconds: Math.floor(nowMs / 1_000), body: payload });
    const own = {
      'content-type': 'application/json',
      'user-agent': 'Millrace',
      'idempotency-key': id,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...signature,
    };
    try {
      return await this.http.post({ url, headers: { ...headers, ...own }, body: payload, timeoutMs, signal });
    } catch (error) {
      throw failureOf(error);
    }
  }
}

function failureOf(error: unknown): unknown {
  if (error instanceof HostUnreachable) return new DeliveryUnreachable(error);
  if (error instanceof HostTimedOut) return new DeliveryTimedOut(error);
  if (error instanceof HostAddressForbidden) return new DeliveryAddressForbidden(error);
  return error;
}

/** Whole header values, and their parts: of `Bearer abc123` a peer may repeat only the token. */
function credentialsIn({ headers, secret }: DestinationSpecOf<'http'>): string[] {
  const values = Object.entries(headers).flatMap(([name, value]) =>
    credentialHeader.test(name) ? [value, ...value.split(/[\s;,]+/)] : [],
  );
  return [clearText(secret), ...values];
}
