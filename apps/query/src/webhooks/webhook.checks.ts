import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import type { FoundWebhook } from '#libs/connectors';
import { DomainError } from '#libs/contracts';
import { timeoutSignal } from '#libs/time';
import { InputInvalid } from '../operations/input.errors.js';
import { NamedSources } from './named-sources.js';
import { PartnerAccess, requireWebhooks } from './partner.access.js';
import type { WebhookCheckRow } from './webhook.operations.js';
import { isNoted, isSameSet, oursAmong } from './webhook.match.js';
import { WebhookTable } from './webhook.table.js';
import type { RegisteredWebhook } from './webhook.table.js';

/** Partners that are asked at the same time. */
const atOnce = 8;
/** How long a partner may take: shorter than a GraphQL request. */
const patienceMs = 6_000;

type Finding = Pick<WebhookCheckRow, 'state' | 'message'>;

/** Asks partners whether they still have the webhooks that were registered, and changes nothing. */
@Injectable()
export class WebhookChecks {
  constructor(
    private readonly table: WebhookTable,
    private readonly partners: PartnerAccess,
    private readonly sources: NamedSources,
  ) {}

  /**
   * @param source default: all of the tenant
   * @throws NotFound
   */
  async check({ tenant }: Principal, source: string | null | undefined): Promise<WebhookCheckRow[]> {
    const registered = (await this.table.all(tenant)).filter((one) => source == null || one.source === source);
    if (source != null && registered.length === 0) await this.sources.require(tenant, source);
    const checks: WebhookCheckRow[] = [];
    const until = timeoutSignal(patienceMs);
    for (let from = 0; from < registered.length; from += atOnce) {
      const some = registered.slice(from, from + atOnce);
      checks.push(...(await Promise.all(some.map((one) => this.checkOne(tenant, one, until)))));
    }
    return checks;
  }

  private async checkOne(tenant: string, known: RegisteredWebhook, until: AbortSignal): Promise<WebhookCheckRow> {
    const { source, connection, url } = known;
    return { source, connection, url, ...(await this.findingOf(tenant, known, until)) };
  }

  private async findingOf(tenant: string, known: RegisteredWebhook, until: AbortSignal): Promise<Finding> {
    try {
      until.throwIfAborted();
      const connected = await this.partners.connected(tenant, known.connection);
      const spec = requireWebhooks(connected.connector.webhooks, known.connection, connected.stored.document.spec.connector);
      if (spec.kind === 'manual') return { state: 'unknown', message: 'the system has webhooks in the settings of an app' };
      const found = await this.partners.use(connected, spec, (partner) => partner.found(known), until);
      return compared(known, found, spec.perEvent);
    } catch (error) {
      if (until.aborted) return { state: 'unknown', message: `the system did not answer within ${patienceMs / 1_000} s` };
      if (!(error instanceof DomainError)) throw error;
      const message = error instanceof InputInvalid ? error.violations.map((one) => one.message).join('; ') : error.message;
      return { state: 'unknown', message };
    }
  }
}

/** Compares what was registered with what the partner has. */
function compared(known: RegisteredWebhook, found: readonly FoundWebhook[], perEvent: boolean): Finding {
  const ours = oursAmong(found, known.url, known);
  if (ours.length === 0) return { state: 'missing', message: 'the system has no such webhook any more' };
  const here = ours.filter(({ url }) => url === known.url);
  const events = here.flatMap((one) => one.events);
  const lost = known.events.filter((event) => !events.includes(event));
  if (here.length === 0) return { state: 'changed', message: `it calls ${ours.map(({ url }) => url).join(', ')}` };
  if (perEvent && lost.length > 0) return { state: 'missing', message: `the system has none for ${lost.join(', ')}` };
  const noted = here.filter((one) => isNoted(known, one));
  if (noted.length === 0) return { state: 'changed', message: 'another webhook with the same address stands in its place' };
  const flaws = perEvent ? flawsByEvent(known, here) : (noted.map((one) => flawsOf(known, one)).toSorted(byNumber)[0] ?? []);
  return flaws.length === 0 ? { state: 'present', message: null } : { state: 'changed', message: flaws.join('; ') };
}

/** The events for which each webhook is switched off. */
function flawsByEvent({ events }: RegisteredWebhook, here: readonly FoundWebhook[]): string[] {
  const off = events.filter((event) => !here.some((one) => one.isActive && one.events.includes(event)));
  return off.length === 0 ? [] : [`it is switched off for ${off.join(', ')}`];
}

function flawsOf(known: RegisteredWebhook, { events, isActive }: FoundWebhook): string[] {
  const wrong = `it is for ${events.join(', ') || 'no events'}, and was registered for ${known.events.join(', ')}`;
  return [...(isActive ? [] : ['it is switched off']), ...(isSameSet(events, known.events) ? [] : [wrong])];
}

function byNumber(one: readonly string[], other: readonly string[]): number {
  return one.length - other.length;
}
