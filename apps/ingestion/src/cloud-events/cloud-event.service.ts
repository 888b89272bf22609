import type { IncomingHttpHeaders } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { name } from '#libs/contracts';
import { RequestInvalid } from '#libs/service';
import type { Source } from '#libs/sources';
import { IntakeLog, noteEvents } from '../intake/intake-log.js';
import type { IntakeLogEntry } from '../intake/intake-log.js';
import { Intake } from '../intake/intake.js';
import type { VerifiedEvent } from '../intake/intake.js';
import { RequestLimits } from '../limits/request.limits.js';
import { SourceCatalog } from '../sources/source-catalog.js';
import { readCloudEvents } from './cloud-event.js';
import type { CloudEvent } from './cloud-event.js';

/** Token of the number of events that one batch may hold. */
export const maxBatchEvents = Symbol('most events in one batch');

export interface CloudEventRequest {
  headers: IncomingHttpHeaders;
  rawBody: Buffer;
  receivedAtMs: number;
  clientAddress: string;
}

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

  private async accept(
    { headers, rawBody, receivedAtMs, clientAddress }: CloudEventRequest,
    principal: Principal,
    entry: IntakeLogEntry,
  ): Promise<{ eventIds: string[] }> {
    entry.tenant = principal.tenant;
    const verified: VerifiedEvent[] = [];
    const sources = new Set<Source>();
    for (const event of readCloudEvents({ headers, rawBody, maxBatch: this.maxBatch })) {
      const source = await this.sourceOf(event, principal.tenant);
      sources.add(source);
      entry.source = source.name;
      entry.scheme = source.scheme;
      source.rules?.requireAddress(clientAddress);
      source.rules?.requireBodyBytes(rawBody.length);
      const { data: body, attributes, payload, text, contentType } = event;
      verified.push({ source, input: { body, headers: attributes }, payload, text, contentType, receivedAtMs });
    }
    for (const source of sources) {
      const policies = this.limits.policiesOf(source);
      if (policies !== undefined) await this.limits.take(source, policies);
    }
    const events = await this.intake.accept(verified, entry.traceparent);
    noteEvents(entry, events);
    return { eventIds: events.map((event) => event.eventId) };
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

/** The name of the Source document: the attribute itself, or the end of a URI-reference. Null for anything else, and for another tenant. */
function sourceName(source: string, tenant: string): string | null {
  const reference = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?\/tenants\/([^/?#]+)\/sources\/([^/?#]+)$/i.exec(source);
  if (reference !== null && reference[1] !== tenant) return null;
  const found = reference?.[2] ?? source;
  return name.safeParse(found).success ? found : null;
}
