import type { IncomingHttpHeaders } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { DomainError, name } from '#libs/contracts';
import type { EventReceived, FailureCode } from '#libs/contracts';
import { RequestInvalid } from '#libs/service';
import type { Source } from '#libs/sources';
import { counter } from '#libs/tracing';
import { IntakeLog, noteEvents } from '../intake/intake-log.js';
import type { IntakeLogEntry } from '../intake/intake-log.js';
import { Intake } from '../intake/intake.js';
import type { VerifiedEvent } from '../intake/intake.js';
import { RequestLimits } from '../limits/request.limits.js';
import { SourceCatalog } from '../sources/source-catalog.js';
import { readCloudEventLines, readCloudEvents } from './cloud-event.js';
import type { CloudEvent } from './cloud-event.js';

/** Token of the number of events that one batch may hold. */
export const maxBatchEvents = Symbol('most events in one batch');

export interface CloudEventRequest {
  headers: IncomingHttpHeaders;
  rawBody: Buffer;
  receivedAtMs: number;
  clientAddress: string;
}

/** The result of one line of JSON Lines. */
export type LineResult =
  | { readonly line: number; readonly eventId: string }
  | { readonly line: number; readonly code: FailureCode; readonly detail: string; readonly field?: string };

const refusedLines = counter(
  'millrace_intake_lines_refused_total',
  'Lines of JSON Lines that brought nothing in, by the code of their result.',
  {
    code: 'a code of failures.md',
  },
);

@Injectable()
export class CloudEventService {
  constructor(
    private readonly sources: SourceCatalog,
    private readonly intake: Intake,
    private readonly log: IntakeLog,
    private readonly limits: RequestLimits,
    @Inject(maxBatchEvents) private readonly maxBatch: number,
  ) {}

  /**
   * Checks all events of a request before it appends the first: a batch with one invalid event is refused. The error names the index of the event.
   * @throws BodyMalformed, RequestInvalid, BatchTooLarge, MediaTypeUnsupported, LogUnavailable, ConfigurationUnavailable
   */
  receive(request: CloudEventRequest, principal: Principal): Promise<{ eventIds: string[] }> {
    return this.log.record('events', request.headers['traceparent'], (entry) => this.accept(request, principal, entry));
  }

  /**
   * Accepts or refuses each line by itself, in their order. Lines that were refused leave no trace beside their results.
   * @throws BodyMalformed, RequestInvalid, BatchTooLarge for the body as a whole; LogUnavailable, ConfigurationUnavailable, EvaluationsBusy: some lines may
   * have been stored, and are the same events if all are sent again
   */
  receiveLines(request: CloudEventRequest, principal: Principal): Promise<LineResult[]> {
    return this.log.record('events', request.headers['traceparent'], (entry) => this.acceptLines(request, principal, entry));
  }

  private async accept(request: CloudEventRequest, principal: Principal, entry: IntakeLogEntry): Promise<{ eventIds: string[] }> {
    entry.tenant = principal.tenant;
    const verified: VerifiedEvent[] = [];
    for (const event of readCloudEvents({ headers: request.headers, rawBody: request.rawBody, maxBatch: this.maxBatch }))
      verified.push(await this.verified(event, request, request.rawBody.length, entry));
    await this.takeFor(verified);
    const events = await this.intake.accept(verified, entry.traceparent);
    noteEvents(entry, events);
    return { eventIds: events.map((event) => event.eventId) };
  }

  private async acceptLines(request: CloudEventRequest, principal: Principal, entry: IntakeLogEntry): Promise<LineResult[]> {
    entry.tenant = principal.tenant;
    const admitted: { readonly line: number; readonly found: VerifiedEvent | DomainError }[] = [];
    for (const { line, bytes, found } of readCloudEventLines({
      headers: request.headers,
      rawBody: request.rawBody,
      maxBatch: this.maxBatch,
    }))
      admitted.push({ line, found: found instanceof DomainError ? found : await orRefusal(this.verified(found, request, bytes, entry)) });
    await this.takeFor(admitted.flatMap(({ found }) => (found instanceof DomainError ? [] : [found])));
    const results: LineResult[] = [];
    const verified: VerifiedEvent[] = [];
    const events: EventReceived[] = [];
    for (const { line, found } of admitted) {
      const event = found instanceof DomainError ? found : await orRefusal(this.intake.judged(found));
      results.push(resultOf(line, event));
      if (found instanceof DomainError || event instanceof DomainError) continue;
      verified.push(found);
      events.push(event);
    }
    await this.intake.append(events, verified, entry.traceparent);
    noteEvents(entry, events);
    return results;
  }

  /** Counts the request once for each of its sources. @throws RequestLimited */
  private async takeFor(events: readonly VerifiedEvent[]): Promise<void> {
    for (const source of new Set(events.map((event) => event.source))) await this.limits.take(source);
  }

  /** @param bytes of the body; of JSON Lines, those of the line, so that it does not count against the lines beside it */
  private async verified(
    event: CloudEvent,
    { receivedAtMs, clientAddress }: CloudEventRequest,
    bytes: number,
    entry: IntakeLogEntry,
  ): Promise<VerifiedEvent> {
    const source = await this.sourceOf(event, entry.tenant!);
    entry.source = source.name;
    entry.scheme = source.scheme;
    source.rules?.requireAddress(clientAddress);
    source.rules?.requireBodyBytes(bytes);
    const { data: body, attributes, payload, text, contentType } = event;
    return { source, input: { body, headers: attributes }, payload, text, contentType, receivedAtMs };
  }

  private async sourceOf({ source, path }: CloudEvent, tenant: string): Promise<Source> {
    const found = sourceName(source, tenant);
    const known = found === null ? undefined : await this.sources.findNew(tenant, found);
    if (known === undefined || known.webhook !== undefined) {
      const wanted = `the name of a Source document of tenant ${tenant} whose scheme is api-key, or /tenants/${tenant}/sources/NAME`;
      throw new RequestInvalid(`${path}source`, `must be ${wanted}`);
    }
    return known;
  }
}

/** The result of the work, or the refusal of its input. Every other failure is one of the whole request. */
async function orRefusal<T>(work: Promise<T>): Promise<T | DomainError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof DomainError && error.outcome === 'reject') return error;
    throw error;
  }
}

function resultOf(line: number, event: EventReceived | DomainError): LineResult {
  if (!(event instanceof DomainError)) return { line, eventId: event.eventId };
  const { code, publicMessage: detail, field } = event;
  refusedLines.inc({ code });
  return { line, code, detail, ...(field !== undefined && { field }) };
}

/** The name of the Source document: the attribute itself, or the end of a URI-reference. Null for anything else, and for another tenant. */
function sourceName(source: string, tenant: string): string | null {
  const reference = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?\/tenants\/([^/?#]+)\/sources\/([^/?#]+)$/i.exec(source);
  if (reference !== null && reference[1] !== tenant) return null;
  const found = reference?.[2] ?? source;
  return name.safeParse(found).success ? found : null;
}
