import { Injectable } from '@nestjs/common';
import type { DestinationSpec, Secret } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import { signStandardWebhook } from '#libs/signatures';
import type { Connector, OutboundDelivery, Receipt } from '../connector.js';
import { acceptAnswer } from './http-answer.js';

/** A POST signed by Standard Webhooks: https://www.standardwebhooks.com */
@Injectable()
export class HttpConnector implements Connector<'http'> {
  constructor(private readonly http: HttpClient) {}

  async attempt(delivery: OutboundDelivery, destination: DestinationSpec, signal: AbortSignal): Promise<Receipt> {
    const nowMs = Date.now();
    const { id, payload, traceparent } = delivery;
    const answer = await this.http.post({
      url: destination.url,
      headers: {
        ...destination.headers,
        'content-type': 'application/json',
        'user-agent': 'Millrace',
        'idempotency-key': id,
        ...(traceparent === undefined ? {} : { traceparent }),
        ...signStandardWebhook(opened(destination.secret), { id, timestampSeconds: Math.floor(nowMs / 1_000), body: payload }),
      },
      body: payload,
      timeoutMs: destination.timeoutMs,
      signal,
    });
    return acceptAnswer(answer, nowMs);
  }
}

function opened(secret: Secret): string {
  if ('value' in secret) return secret.value;
  throw new Error('The destination’s secret is still encrypted: the configuration was read without its key');
}
