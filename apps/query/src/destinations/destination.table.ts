import { Injectable } from '@nestjs/common';
import type { DeliveryIdempotency, DestinationDocument } from '#libs/contracts';
import { effectsByDestination, idempotencyOf, promiseOf } from '#libs/deliveries';
import type { EffectsByDestination } from '#libs/deliveries';
import { DocumentTable, TenantDatabase, lookupIn, statement } from '#libs/persistence';
import { wallTimeMs } from '#libs/time';
import type { DestinationRow } from './destination.operations.js';

interface HealthRow {
  destination: string;
  documentVersion: number;
  openSince: Date | null;
  openUntil: Date | null;
  openReason: string | null;
  limitedSince: Date | null;
  limitedUntil: Date | null;
  limitedReason: string | null;
  disabledSince: Date | null;
  disabledReason: string | null;
}

/** Leaves out pauses that are over. */
const health = statement(
  'query.destination.health',
  `SELECT destination, document_version AS "documentVersion", open_since AS "openSince", open_until AS "openUntil", open_reason AS "openReason",
     limited_since AS "limitedSince", limited_until AS "limitedUntil", limited_reason AS "limitedReason", disabled_since AS "disabledSince",
     disabled_reason AS "disabledReason"
   FROM (SELECT destination, document_version, open_since, open_until, open_reason, disabled_since, disabled_reason, limited_reason,
     CASE WHEN limited_until > statement_timestamp() THEN limited_since END AS limited_since, limited_until
     FROM destination_health WHERE tenant_id = $1) AS each`,
);

@Injectable()
export class DestinationTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By name. A version of the document that nothing was delivered to yet is active. */
  list(tenant: string): Promise<DestinationRow[]> {
    return this.database.asTenant(tenant, async (session) => {
      const documents = await this.documents.current(session, tenant);
      const find = lookupIn(documents);
      const known = new Map((await session.query<HealthRow>(health, [tenant])).map((row) => [row.destination, row]));
      return documents.flatMap(({ name, version, document }) => {
        if (document.kind !== 'Destination') return [];
        return [{ name, ...stateOf(version, known.get(name)), promise: promiseOf(idempotencyOf(document.spec, find)) }];
      });
    });
  }

  /** By destination, the repeats that may take effect a second time if they begin now. */
  async effects(tenant: string): Promise<EffectsByDestination> {
    const documents = await this.database.asTenant(tenant, (session) => this.documents.current(session, tenant));
    return effectsByDestination(documents, lookupIn(documents), wallTimeMs());
  }

  /** The rules by which an attempt may take effect a second time; undefined if there is no such destination. */
  async rulesOf(tenant: string, name: string): Promise<{ timeoutMs: number; idempotency: DeliveryIdempotency } | undefined> {
    const find = lookupIn(await this.database.asTenant(tenant, (session) => this.documents.current(session, tenant)));
    const document = find('Destination', name) as DestinationDocument | undefined;
    return document && { timeoutMs: document.spec.timeoutMs, idempotency: idempotencyOf(document.spec, find) };
  }
}

function stateOf(version: number, known: HealthRow | undefined): Pick<DestinationRow, 'state' | 'since' | 'until' | 'reason'> {
  if (known === undefined || known.documentVersion < version) return { state: 'active', since: null, until: null, reason: null };
  const { openSince, limitedSince, disabledSince } = known;
  if (disabledSince !== null) return { state: 'disabled', since: disabledSince, until: null, reason: known.disabledReason };
  if (openSince !== null) return { state: 'open', since: openSince, until: known.openUntil, reason: known.openReason };
  if (limitedSince !== null) return { state: 'limited', since: limitedSince, until: known.limitedUntil, reason: known.limitedReason };
  return { state: 'active', since: null, until: null, reason: null };
}
