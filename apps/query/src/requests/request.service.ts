import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { DomainError, NotFound, commandId, eventId } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { EventAppender } from '#libs/intake';
import { Configuration, DocumentSecrets } from '#libs/persistence';
import { RequestUnverifiable, readAgain, resolveSource } from '#libs/sources';
import type { Source, WebhookSource } from '#libs/sources';
import { wallTime } from '#libs/time';
import { currentTraceparent, startSpan } from '#libs/tracing';
import { AuditTable } from '../audit/audit.table.js';
import { IdempotencyKeyTable } from '../commands/idempotency-key.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import { sendTestEvents, takeRequest } from './request.operations.js';
import type { RequestRow, SendTestEventsInput } from './request.operations.js';
import { RequestTable } from './request.table.js';
import type { WholeRequest } from './request.table.js';

/** The result of `verifyRequest`. */
export interface RequestVerification {
  readonly verdict: 'accepted' | 'refused' | 'unverifiable';
  readonly refusal: { readonly code: string; readonly message: string } | null;
  readonly eventIds: string[];
}

type Read =
  | { readonly events: EventReceived[]; readonly failure?: undefined }
  | { readonly failure: DomainError; readonly events?: undefined };

/** Asks the source of a kept request again, has its events taken, or sends them as a test. */
@Injectable()
export class RequestService {
  constructor(
    private readonly table: RequestTable,
    private readonly configuration: Configuration,
    private readonly secrets: DocumentSecrets,
    private readonly appender: EventAppender,
    private readonly audit: AuditTable,
    private readonly keys: IdempotencyKeyTable,
  ) {}

  /** @throws NotFound */
  async verify({ tenant }: Principal, id: string): Promise<RequestVerification> {
    const { events, failure } = (await this.read(tenant, id)).read;
    if (failure === undefined) return { verdict: 'accepted', refusal: null, eventIds: idsOf(events) };
    const verdict = failure instanceof RequestUnverifiable ? 'unverifiable' : 'refused';
    return { verdict, refusal: { code: failure.code, message: failure.publicMessage }, eventIds: [] };
  }

  /**
   * Appends the events of a refused request that its source accepts now.
   * @throws NotFound, InputInvalid, LogUnavailable
   */
  async take(principal: Principal, id: string): Promise<{ eventIds: string[]; request: RequestRow }> {
    const { tenant } = principal;
    const { request, source, read } = await this.read(tenant, id);
    if (request.outcome === 'accepted') {
      throw refusal(
        'was accepted when it came, so its events are there; sendTestEvents (millrace requests test) sends them again',
        'request.invalid',
      );
    }
    const events = eventsOf(read);
    await this.audit.record(principal, [{ operation: takeRequest, target: id, detail: { eventIds: idsOf(events).slice(0, 100) } }]);
    // When it happened is what the request says; it is listed, and deleted for its age, by when it was taken.
    const receivedAt = wallTime().toISOString();
    await this.append(
      events.map((event) => ({ ...event, receivedAt })),
      source,
    );
    await this.table.take(principal, id, idsOf(events));
    const [taken] = await this.table.byIds(tenant, [id]);
    return { eventIds: idsOf(events), request: taken ?? request };
  }

  /**
   * Appends the events of a request again, as others and with a mark.
   * @throws NotFound, InputInvalid, LogUnavailable
   */
  async sendTest(principal: Principal, input: SendTestEventsInput): Promise<{ eventIds: string[] }> {
    const { tenant } = principal;
    const { source, read } = await this.read(tenant, input.id);
    const receivedAt = wallTime().toISOString();
    const command = commandId(tenant, input.idempotencyKey, sendTestEvents.name, input.id);
    const events = eventsOf(read).map((event, at): EventReceived => {
      const ofTest = eventId(tenant, event.source, { providerEventId: `test/${command}/${at}` });
      return { ...event, eventId: ofTest, receivedAt, isTest: true };
    });
    await this.keys.bind(tenant, sendTestEvents.name, input);
    const detail = { eventIds: idsOf(events).slice(0, 100) };
    await this.audit.record(principal, [{ operation: sendTestEvents, target: input.id, commandId: command, detail }]);
    await this.append(events, source);
    return { eventIds: idsOf(events) };
  }

  private async append(events: readonly EventReceived[], { scheme }: Source): Promise<void> {
    const span = startSpan('take request');
    try {
      await this.appender.append(events, () => scheme, currentTraceparent(span));
    } finally {
      span.end();
    }
  }

  private async read(tenant: string, id: string): Promise<{ request: WholeRequest; source: Source; read: Read }> {
    const request = await this.table.whole(tenant, id);
    if (request === undefined) throw new NotFound('request', id, { field: 'id' });
    const source = await this.sourceOf(tenant, request.source);
    try {
      return { request, source, read: { events: await readAgain(source, { ...request, receivedAtMs: request.receivedAt.getTime() }) } };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { request, source, read: { failure: error } };
    }
  }

  /** The source as it was committed before the call: its secret may have been corrected a moment ago. */
  private async sourceOf(tenant: string, name: string): Promise<Source & { webhook: WebhookSource }> {
    await this.configuration.readTenantAgain(tenant);
    const stored = this.configuration.source(tenant, name);
    const source = stored && resolveSource(tenant, name, this.secrets.opened(stored.document).spec);
    if (source?.webhook === undefined) throw new NotFound('source', name, { message: `The source ${name} takes no webhooks` });
    return source as Source & { webhook: WebhookSource };
  }
}

function eventsOf({ events, failure }: Read): EventReceived[] {
  if (failure === undefined) return events;
  if (failure instanceof RequestUnverifiable) throw refusal(`cannot be verified again. ${failure.message}`, failure.code);
  throw refusal(`is refused by its source as it is now, with ${failure.code}: ${failure.publicMessage}`, 'request.refused');
}

function refusal(message: string, code: 'request.invalid' | 'request.unverifiable' | 'request.refused'): InputInvalid {
  return new InputInvalid([{ path: ['id'], message }], code);
}

function idsOf(events: readonly EventReceived[]): string[] {
  return events.map((event) => event.eventId);
}
