import { isUtf8 } from 'node:buffer';
import { Inject, Injectable } from '@nestjs/common';
import { DomainError, failures, newRequestId, sourceAddress, unnamedCustomer } from '#libs/contracts';
import type { EventReceived, RequestReceived } from '#libs/contracts';
import type { DoorRequest } from '#libs/service';
import { RequestRedaction } from '#libs/sources';
import type { KeptRequest, Source, WebhookSource } from '#libs/sources';
import { counter } from '#libs/tracing';
import { RequestLog } from './request-log.js';
import { SampleRate } from './sample-rate.js';

/** Token of the length to which the bodies of kept requests are cut, in bytes. */
export const keptBodyBytes = Symbol('most bytes of a kept body');

type Fate = Pick<RequestReceived, 'outcome' | 'code' | 'message' | 'isVerified' | 'eventIds'>;

/** Most requests that wait for the log at the same time, and their bytes. */
const mostWaiting = 200;
const mostWaitingBytes = 8 * 1_048_576;
const longestMessage = 1_000;
/** A request can bring thousands of events; the first ones lead to it. */
const mostEventIds = 100;

const kept = counter('millrace_requests_kept_total', 'Requests that a door put on the log as they were received, without secrets.', {
  outcome: ['accepted', 'refused'],
});
const dropped = counter(
  'millrace_requests_dropped_total',
  'Requests that a door would have kept: `rate` where its source or tenant had its share of the minute, `waiting` where too many wait for the log, `log` where the log did not take them.',
  { reason: ['rate', 'waiting', 'log'] },
);

/**
 * Keeps requests as they were received. It is a sample: nobody waits for the log, and what does not fit is dropped and counted, so that a flood of
 * requests that prove nothing costs what it costs to refuse them.
 */
@Injectable()
export class RequestKeeper {
  /** The refusals of a source by their code, so that many of one code leave room for another. */
  private readonly ofCode = new SampleRate(6, 20);
  private readonly ofTenant = new SampleRate(60, 100);
  private readonly acceptedOfSource = new SampleRate(600, 600);
  private readonly acceptedOfTenant = new SampleRate(1_200, 1_200);
  private readonly redactions = new WeakMap<WebhookSource, RequestRedaction>();
  private waiting = 0;
  private waitingBytes = 0;

  constructor(
    private readonly log: RequestLog,
    @Inject(keptBodyBytes) private readonly maxBodyBytes: number,
  ) {}

  /** Keeps a request that is at fault. One that failed for a fault of ours comes again. */
  refused(
    source: Source & { webhook: WebhookSource },
    request: DoorRequest,
    { error, isVerified }: { error: unknown; isVerified: boolean },
  ): void {
    if (source.keepRequests === 'none' || !(error instanceof DomainError) || failures[error.code].httpStatus >= 500) return;
    const { code } = error;
    if (code === 'request.limited') return; // it comes again
    const address = `${sourceAddress(source.tenant, source.name)} ${code}`;
    if (!this.ofCode.has(address) || !this.ofTenant.has(source.tenant)) return dropped.inc({ reason: 'rate' });
    this.ofCode.take(address);
    this.ofTenant.take(source.tenant);
    const message = error.publicMessage.slice(0, longestMessage);
    this.keep(source, request, { outcome: 'refused', code, message, isVerified, eventIds: [] });
  }

  /** Keeps a request that brought these events, if its source asks for that. */
  accepted(source: Source & { webhook: WebhookSource }, request: DoorRequest, events: readonly EventReceived[]): void {
    if (source.keepRequests !== 'all') return;
    const address = sourceAddress(source.tenant, source.name);
    if (!this.acceptedOfSource.has(address) || !this.acceptedOfTenant.has(source.tenant)) return dropped.inc({ reason: 'rate' });
    this.acceptedOfSource.take(address);
    this.acceptedOfTenant.take(source.tenant);
    const eventIds = events.slice(0, mostEventIds).map(({ eventId }) => eventId);
    this.keep(source, request, { outcome: 'accepted', code: null, message: null, isVerified: true, eventIds });
  }

  private keep(source: Source & { webhook: WebhookSource }, request: DoorRequest, fate: Fate): void {
    if (this.waiting >= mostWaiting || this.waitingBytes >= mostWaitingBytes) return dropped.inc({ reason: 'waiting' });
    const { body, ...parts } = this.redactionOf(source.webhook).kept(request, this.maxBodyBytes);
    const { tenant, name } = source;
    const { clientAddress, isProxied, receivedAtMs } = request;
    const record: RequestReceived = {
      tenant,
      customer: unnamedCustomer(name),
      requestId: newRequestId(receivedAtMs),
      source: name,
      ...fate,
      receivedAt: new Date(receivedAtMs).toISOString(),
      ...parts,
      headers: [...parts.headers],
      redacted: [...parts.redacted],
      clientAddress,
      isProxied,
      ...(isUtf8(body) ? { body: body.toString('utf8') } : { bodyBase64: body.toString('base64') }),
    };
    this.waiting += 1;
    this.waitingBytes += body.length;
    void this.append(record, body);
  }

  private async append(record: RequestReceived, { length }: KeptRequest['body']): Promise<void> {
    try {
      await this.log.append(record);
      kept.inc({ outcome: record.outcome });
    } catch {
      dropped.inc({ reason: 'log' }); // the log says itself what is wrong with it
    } finally {
      this.waiting -= 1;
      this.waitingBytes -= length;
    }
  }

  private redactionOf(webhook: WebhookSource): RequestRedaction {
    let redaction = this.redactions.get(webhook);
    if (redaction === undefined) this.redactions.set(webhook, (redaction = new RequestRedaction(webhook)));
    return redaction;
  }
}
