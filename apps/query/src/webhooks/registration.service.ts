import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { OperationFailure } from '#libs/connectors';
import type { FoundWebhook, MadeWebhook, PartnerWebhooks, WantedWebhook } from '#libs/connectors';
import { DomainError, clearText, sourceAddress, webhookSchemes } from '#libs/contracts';
import type { ApiWebhooks, ConnectorWebhooks, Document } from '#libs/contracts';
import { ExpressionFailed } from '#libs/expressions';
import type { Json } from '#libs/json';
import { DocumentSecrets } from '#libs/persistence';
import { isLoopback } from '#libs/ports';
import { compileSchema } from '#libs/schemas';
import { AuditTable } from '../audit/audit.table.js';
import { DocumentService } from '../documents/document.service.js';
import { InputInvalid } from '../operations/input.errors.js';
import { SourceSecrets, sourceOf } from './source.secrets.js';
import type { SourceRow } from './source.secrets.js';
import { NamedSources } from './named-sources.js';
import { PartnerAccess, refused, requireWebhooks } from './partner.access.js';
import { WebhookBusy } from './webhook.errors.js';
import { isNoted, isSameId, isSameSet, oursAmong } from './webhook.match.js';
import { registerWebhook, unregisterWebhook } from './webhook.operations.js';
import type { RegisterWebhookInput, WebhookRow } from './webhook.operations.js';
import { WebhookTable } from './webhook.table.js';
import type { RegisteredWebhook } from './webhook.table.js';

/** The address of the webhook door as partners reach it. */
export class WebhooksAddress {
  constructor(
    readonly url: string | undefined,
    readonly options: { readonly allowsLoopback: boolean },
  ) {}
}

export interface Registration {
  readonly change: 'created' | 'updated' | 'unchanged' | 'manual';
  readonly steps: string[];
  readonly webhook: WebhookRow | null;
}

/** One registration under way. */
interface Job {
  readonly principal: Principal;
  readonly name: string;
  readonly connection: string;
  readonly spec: ApiWebhooks;
  readonly partner: PartnerWebhooks;
  readonly wanted: WantedWebhook;
  readonly known: RegisteredWebhook | undefined;
  readonly rotate: boolean;
}

/** The webhooks at the partner while one is made. */
interface Making {
  readonly before: readonly FoundWebhook[];
  /** The ids of the webhooks that this registration made. */
  readonly made: Json[];
  /** The one that is to be replaced. */
  readonly existing: FoundWebhook | undefined;
  /** The ids of the webhooks that have a new secret. */
  readonly taken: Json[];
  readonly source: SourceSecrets;
}

/** Longer than a request may take. */
const leaseMs = 60_000;

/** Registers webhooks for sources at partners, by operations of connections. */
@Injectable()
export class RegistrationService {
  constructor(
    private readonly table: WebhookTable,
    private readonly partners: PartnerAccess,
    private readonly documents: DocumentService,
    private readonly sources: NamedSources,
    private readonly secrets: DocumentSecrets,
    private readonly audit: AuditTable,
    private readonly address: WebhooksAddress,
  ) {}

  /** @throws NotFound, InputInvalid, WebhookUnavailable, WebhookBusy */
  async register(principal: Principal, input: RegisterWebhookInput): Promise<Registration> {
    const { tenant } = principal;
    const { source: name } = input;
    const known = await this.table.find(tenant, name);
    const connection = input.connection ?? known?.connection;
    if (connection === undefined) throw invalid('connection', 'is missing: no webhook was registered for this source before');
    const { stored, connector } = await this.partners.connected(tenant, connection);
    const spec = requireWebhooks(connector.webhooks, connection, stored.document.spec.connector);
    const source = await sourceOf(this.documents, principal, name);
    requireScheme(spec, source, name);
    const url = this.addressOf(tenant, name, source);
    if (spec.kind === 'manual') return { change: 'manual', steps: spec.steps.map((step) => step.replaceAll('{url}', url)), webhook: null };
    const sameConnection = known?.connection === connection ? known : undefined;
    const target = (input.target ?? sameConnection?.target ?? {}) as Json;
    await requireTarget(spec, target, tenant);
    const events = [...new Set(input.events ?? sameConnection?.events ?? spec.events)];
    if (events.length === 0) throw invalid('events', 'is missing: name at least one, as the system names it');
    if (input.rotateSecret === true && spec.secret.kind === 'fixed')
      throw invalid('rotateSecret', `cannot be true: the secret belongs to the app at the system. ${spec.secret.note}`);
    await this.audit.record(principal, [{ operation: registerWebhook, target: `Source/${name}`, detail: { connection, url, events } }]);
    const rotate = input.rotateSecret === true;
    return this.claimed(tenant, name, connection, () =>
      this.partners.use({ stored, connector }, spec, async (partner) => {
        const change = await this.reconcile({
          principal,
          name,
          connection,
          spec,
          partner,
          wanted: { url, target, events },
          known: sameConnection,
          rotate,
        });
        const webhook = (await this.table.list(tenant)).find((row) => row.source === name) ?? null;
        return { change, steps: [], webhook };
      }),
    );
  }

  /** @throws NotFound, InputInvalid, WebhookUnavailable, WebhookBusy */
  async unregister(principal: Principal, name: string): Promise<{ removed: number }> {
    const { tenant } = principal;
    const known = await this.table.find(tenant, name);
    if (known === undefined) {
      await this.sources.require(tenant, name);
      return { removed: 0 };
    }
    const connected = await this.partners.connected(tenant, known.connection);
    const spec = requireWebhooks(connected.connector.webhooks, known.connection, connected.stored.document.spec.connector);
    await this.audit.record(principal, [{ operation: unregisterWebhook, target: `Source/${name}`, detail: { url: known.url } }]);
    return this.claimed(tenant, name, known.connection, () =>
      this.partners.use(connected, spec as ApiWebhooks, async (partner) => {
        const ours = oursAmong(await partner.found(known), known.url, known);
        for (const { id } of ours) await partner.remove(id, known);
        await this.table.remove(tenant, name);
        return { removed: ours.length };
      }),
    );
  }

  /**
   * Has the partner what is wanted, and nothing else of this source. A crash anywhere leaves what a repeat finds by its address. A failure takes no secret
   * from the source that the partner may sign with.
   */
  private async reconcile(job: Job): Promise<'created' | 'updated' | 'unchanged'> {
    const source = new SourceSecrets(job, this.documents, this.secrets);
    const taken: Json[] = [];
    try {
      return await this.reconcileWith(job, source, taken);
    } catch (error) {
      const isUnused = taken.length === 0 && error instanceof OperationFailure && !error.isUncertain;
      if (isUnused) await source.dropNew();
      throw error;
    }
  }

  /** @param taken is filled with the ids of the webhooks that have a new secret */
  private async reconcileWith(job: Job, source: SourceSecrets, taken: Json[]): Promise<'created' | 'updated' | 'unchanged'> {
    const { principal, name, connection, spec, partner, wanted, known, rotate } = job;
    const ours = oursAmong(await partner.found(wanted), wanted.url, known);
    const kept: Json[] = [];
    const made: Json[] = [];
    let hasChanged = false;
    let secret: string | undefined;
    const newSecret = async (): Promise<string | undefined> => {
      if (spec.secret.kind === 'generated') secret ??= await source.add(generatedSecret(spec)); // before a request can be signed with it
      return secret;
    };
    for (const event of spec.perEvent ? wanted.events : [undefined]) {
      const one = { ...wanted, event };
      const existing = ours.find((found) => found.url === wanted.url && (event === undefined || found.events.includes(event)));
      // The secret of a webhook that nobody noted, because a process ended, is not known here.
      const isTrusted = existing !== undefined && (spec.secret.kind === 'fixed' || (isNoted(known, existing) && !rotate));
      const isAsWanted = existing?.isActive === true && (event !== undefined || isSameSet(existing.events, wanted.events));
      if (existing !== undefined && isTrusted && isAsWanted) {
        kept.push(existing.id);
        continue;
      }
      if (existing !== undefined && partner.canUpdate && (isTrusted || spec.secret.kind === 'generated')) {
        await partner.change(existing.id, isTrusted ? one : { ...one, secret: await newSecret() });
        if (!isTrusted) taken.push(existing.id);
        if (!existing.isActive) await requireActive(job, existing.id);
        kept.push(existing.id);
        hasChanged = true;
        continue;
      }
      const { id } = await this.make(job, { ...one, secret: await newSecret() }, { before: ours, made, existing, taken, source });
      taken.push(id);
      kept.push(id);
      hasChanged = true;
    }
    const row = { source: name, connection, url: wanted.url, target: wanted.target, events: wanted.events, ids: kept };
    await this.table.store(principal.tenant, row, source.hasNew);
    const surplus = ours.filter(({ id }) => !kept.some((one) => isSameId(one, id)));
    for (const { id } of surplus) await partner.remove(id, wanted);
    await source.settle();
    if (ours.length === 0) return 'created';
    return hasChanged || surplus.length > 0 ? 'updated' : 'unchanged';
  }

  /** Makes a webhook and keeps its secret, or leaves none: each repeat would make a further one. */
  private async make(job: Job, wanted: WantedWebhook, { before, made, existing, taken, source }: Making): Promise<MadeWebhook> {
    const { connection, spec, partner } = job;
    try {
      const webhook = await partner.make(wanted);
      made.push(webhook.id);
      if (spec.secret.kind === 'returned') {
        const where = `where the connector reads it: ${spec.secret.value}`;
        if (webhook.secret === undefined) throw refused(connection, `the system returned no secret with the new webhook, ${where}`);
        await source.add(webhook.secret);
      }
      return webhook;
    } catch (error) {
      const hasUseless = made.length > 0 && spec.secret.kind !== 'fixed';
      if (!hasUseless && !mayHaveMade(error, existing)) throw error;
      const failure = await this.undone(error, job, { before, made });
      if (failure === error) {
        const left = taken.filter((id) => !made.some((one) => isSameId(one, id)));
        if (left.length === 0) await source.dropNew();
      }
      throw failure;
    }
  }

  /**
   * Removes the webhooks that were not there before.
   * @returns the failure, which also tells if a webhook may be left
   */
  private async undone(
    error: unknown,
    { connection, partner, wanted }: Job,
    { before, made }: Pick<Making, 'before' | 'made'>,
  ): Promise<unknown> {
    const ids = made.filter((id) => id !== null);
    try {
      for (const id of ids) await partner.remove(id, wanted);
      const known = [...ids, ...before.map(({ id }) => id)];
      const others = (await partner.found(wanted)).filter(({ id, url }) => url === wanted.url && !known.some((one) => isSameId(one, id)));
      for (const { id } of others) await partner.remove(id, wanted);
      return error;
    } catch (failure) {
      if (!(error instanceof DomainError && failure instanceof DomainError)) return error;
      const why =
        error instanceof InputInvalid ? error.violations.map(({ message }) => message).join('; ') : `${connection}: ${error.message}`;
      const left = `a new webhook for ${wanted.url} may be left there, which could not be removed: ${failure.message}`;
      return new InputInvalid([{ path: ['connection'], message: partner.redacted(`${why}; ${left}`) }], 'webhook.refused');
    }
  }

  /** @throws InputInvalid */
  private addressOf(tenant: string, name: string, source: SourceRow | undefined): string {
    const opened: Document | undefined = source === undefined ? undefined : this.secrets.opened(source.document);
    const own = opened?.kind === 'Source' && 'publicUrl' in opened.spec ? opened.spec.publicUrl : undefined;
    const { url: base, options } = this.address;
    if (own === undefined && base === undefined) {
      const message = 'has no address that partners reach: set WEBHOOKS_URL of the query service, or publicUrl of the Source';
      throw new InputInvalid([{ path: ['source'], message }], 'webhook.noAddress');
    }
    const url = own === undefined ? `${base!.replace(/\/$/, '')}/${sourceAddress(tenant, name)}` : clearText(own);
    const { hostname } = new URL(url);
    if (isLoopback(hostname.replace(/^\[|\]$/g, '')) && !options.allowsLoopback) {
      const message = `would be called at ${url}, an address of this machine that no partner reaches: set WEBHOOKS_URL of the query service, or publicUrl of the Source`;
      throw new InputInvalid([{ path: ['source'], message }], 'webhook.noAddress');
    }
    return url;
  }

  /** @throws WebhookBusy */
  private async claimed<T>(tenant: string, name: string, connection: string, work: () => Promise<T>): Promise<T> {
    if (!(await this.table.claim(tenant, name, connection, leaseMs))) throw new WebhookBusy(name);
    try {
      return await work();
    } finally {
      await this.table.release(tenant, name);
    }
  }
}

/** A change that leaves a webhook switched off has repaired nothing. @throws InputInvalid */
async function requireActive({ connection, spec, partner, wanted }: Job, id: Json): Promise<void> {
  const changed = (await partner.found(wanted)).find((one) => isSameId(one.id, id));
  if (changed?.isActive !== false) return;
  const why = `the webhook for ${wanted.url} is switched off, and the operation ${spec.update!.operation} did not switch it on`;
  throw refused(connection, `${why}: switch it on at the system, or give that operation of the Connector what switches it on`);
}

/** False also after a lost answer where there was no webhook before: a repeat finds the one that may have been made. */
function mayHaveMade(error: unknown, existing: FoundWebhook | undefined): boolean {
  if (error instanceof OperationFailure) return error.isUncertain && (existing !== undefined || error.outcome !== 'retry');
  return error instanceof ExpressionFailed;
}

function generatedSecret({ scheme }: ApiWebhooks): string {
  const bytes = randomBytes(32);
  return scheme === 'standard-webhooks' ? `whsec_${bytes.toString('base64')}` : bytes.toString('base64url');
}

/** @throws InputInvalid */
function requireScheme(spec: ConnectorWebhooks, source: SourceRow | undefined, name: string): void {
  const scheme = source?.document.spec.scheme;
  const schemes = webhookSchemes(spec);
  if (scheme !== undefined && !schemes.includes(scheme)) {
    const message = `has the scheme ${scheme}, and webhooks of this connection need ${schemes.join(' or ')}: name another source or connection`;
    throw new InputInvalid([{ path: ['source'], message }], 'webhook.unsupported');
  }
  const isNeeded = spec.kind === 'manual' || spec.secret.kind === 'fixed' || spec.scheme === 'custom';
  if (scheme !== undefined || !isNeeded) return;
  const where = spec.kind === 'api' && spec.secret.kind === 'fixed' ? ` ${spec.secret.note}` : '';
  const message = `does not exist: ${name}; apply a Source of the scheme ${spec.scheme} first.${where}`;
  throw new InputInvalid([{ path: ['source'], message }], 'webhook.unsupported');
}

/** @throws InputInvalid */
async function requireTarget({ target: schema }: ApiWebhooks, target: Json, owner: string): Promise<void> {
  const problems = await compileSchema(schema, { owner }).problemsOf(target);
  const found = problems.map((problem) => ({ path: ['target'], message: problem.replace(/^the value\b/, 'it') }));
  if (found.length > 0) throw new InputInvalid(found);
}

function invalid(field: string, message: string): InputInvalid {
  return new InputInvalid([{ path: [field], message }]);
}
