import type { IncomingHttpHeaders } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { KeyRing, requireScope } from '#libs/auth';
import { name } from '#libs/contracts';
import { RequestInvalid } from '#libs/service';
import { DoorWatch, noteEvents } from '../intake/door-watch.js';
import type { Sighting } from '../intake/door-watch.js';
import { Intake } from '../intake/intake.js';
import type { Admitted } from '../intake/intake.js';
import { SourceCatalog } from '../sources/source-catalog.js';
import type { Source } from '../sources/source-catalog.js';
import { readCloudEvents } from './cloud-event.js';
import type { CloudEvent } from './cloud-event.js';

/** How many events one batch may hold. */
export const maxBatchEvents = Symbol('most events in one batch');

export interface CloudEventRequest {
  headers: IncomingHttpHeaders;
  rawBody: Buffer;
  receivedAtMs: number;
}

@Injectable()
export class CloudEventService {
  constructor(
    private readonly keys: KeyRing,
    private readonly sources: SourceCatalog,
    private readonly intake: Intake,
    private readonly doors: DoorWatch,
    @Inject(maxBatchEvents) private readonly maxBatch: number,
  ) {}

  /**
   * A request comes in as a whole: a batch with one bad event is refused, with the event's place in it.
   * @throws CredentialMissing, CredentialInvalid, ScopeMissing, BodyMalformed, RequestInvalid, BatchTooLarge, MediaTypeUnsupported,
   *   LogUnavailable, ConfigurationUnavailable
   */
  receive(request: CloudEventRequest): Promise<{ eventIds: string[] }> {
    return this.doors.watch('events', request.headers['traceparent'], (sighting) => this.accept(request, sighting));
  }

  private async accept({ headers, rawBody, receivedAtMs }: CloudEventRequest, sighting: Sighting): Promise<{ eventIds: string[] }> {
    const tenantHeader = headers['millrace-tenant'];
    const principal = await this.keys.authenticate(headers.authorization, tenantHeader === undefined ? undefined : String(tenantHeader));
    sighting.tenant = principal.tenant;
    requireScope(principal, 'ingest');

    const admitted = readCloudEvents({ headers, rawBody, maxBatch: this.maxBatch }).map((event): Admitted => {
      const source = this.sourceOf(event, principal.tenant);
      sighting.source = source.name;
      sighting.scheme = source.scheme;
      const { data: body, attributes, payload, text, contentType } = event;
      return { source, arrival: { body, headers: attributes }, payload, text, contentType, receivedAtMs };
    });
    const events = await this.intake.accept(admitted, sighting.traceparent);
    noteEvents(sighting, events);
    return { eventIds: events.map((event) => event.eventId) };
  }

  private sourceOf({ source, path }: CloudEvent, tenant: string): Source {
    const found = sourceName(source, tenant);
    const known = found === null ? undefined : this.sources.find(tenant, found);
    if (known === undefined || known.webhook !== undefined) {
      const wanted = `the name of a Source document of tenant ${tenant} whose scheme is api-key, or /tenants/${tenant}/sources/NAME`;
      throw new RequestInvalid(`${path}source`, `must be ${wanted}`);
    }
    return known;
  }
}

/** The document's name, as it stands or at the end of a URI-reference; null where it is neither, or of another tenant. */
function sourceName(source: string, tenant: string): string | null {
  const reference = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?\/tenants\/([^/?#]+)\/sources\/([^/?#]+)$/i.exec(source);
  if (reference !== null && reference[1] !== tenant) return null;
  const found = reference?.[2] ?? source;
  return name.safeParse(found).success ? found : null;
}
