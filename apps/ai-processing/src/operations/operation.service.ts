import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { OperationFailure, TenantConnections } from '#libs/connectors';
import type { OpenConnection, OperationCall, Receipt, TenantConnection } from '#libs/connectors';
import { DomainError, failureReason } from '#libs/contracts';
import type { DeliveryIdempotency } from '#libs/contracts';
import { secondEffect } from '#libs/deliveries';
import type {
  BegunOperation,
  OperationAttempt,
  ReadCaching,
  RecordOperation,
  SendOperation,
  StepCall,
  StepOperation,
  TenantOperations,
} from '#libs/flows';
import { canonical } from '#libs/json';
import type { Json } from '#libs/json';
import { TenantCache } from '#libs/lru';
import { latencyMs, wallTime, wallTimeMs } from '#libs/time';
import { counter, currentTraceparent } from '#libs/tracing';
import { OperationUncertain, OperationUnsettled } from './operation.errors.js';

const attempts = counter(
  'millrace_operation_attempts_total',
  'Operations of connections that steps sent, by outcome: ok, or the code of the failure.',
  {
    tenant: 'the tenant',
    outcome: '`ok`, or a code of failures.md',
  },
);
const uncertain = counter(
  'millrace_operation_uncertain_attempts_total',
  'Operations that failed without saying whether they took effect.',
  {
    tenant: 'the tenant',
  },
);
const reads = counter('millrace_enrich_reads_total', 'Outputs that enrich steps with a cache used, by where they came from.', {
  tenant: 'the tenant',
  from: '`cache`; `system`; `other`: another run asked at the same time; `stale`: the system failed, and an older output was used',
});

/** Sends the operations that steps of flows name, and keeps outputs of those that read. */
@Injectable()
export class OperationService {
  private readonly cache = new TenantCache<Json>();
  /** Reads under way, by the key of the cache. */
  private readonly flights = new Map<string, Promise<Json>>();

  constructor(private readonly connections: TenantConnections) {}

  /** The operations of one tenant's connections. */
  of(tenant: string): TenantOperations {
    return {
      read: (operation, caching, send) => this.read(tenant, operation, caching, send),
      call: (operation, send) => this.call(tenant, operation, send),
    };
  }

  private async read(tenant: string, operation: StepOperation, caching: ReadCaching | undefined, send: SendOperation): Promise<Json> {
    const connection = this.connections.open(tenant, operation.connection);
    const load = (): Promise<Json> => send((record) => this.send(connection, { ...operation, effectKey: '' }, record));
    if (caching === undefined) return load();
    const key = cacheKey(tenant, connection, operation);
    const known = this.cache.get(key, caching.ttlMs);
    if (known !== undefined) {
      reads.inc({ tenant, from: 'cache' });
      return known.output;
    }
    return this.flight(key, tenant, load).catch((error: unknown) => this.staleAfter(error, key, tenant, caching));
  }

  /** One run asks for all that want the same at the same time. Where it is broken off for a reason of its own, the others ask themselves. */
  private async flight(key: string, tenant: string, load: () => Promise<Json>): Promise<Json> {
    const other = this.flights.get(key);
    if (other !== undefined) {
      try {
        const output = await other;
        reads.inc({ tenant, from: 'other' });
        return output;
      } catch (error) {
        if (error instanceof OperationFailure) throw error;
        return load();
      }
    }
    const flight = load();
    this.flights.set(key, flight);
    try {
      const output = await flight;
      this.cache.set(key, tenant, output);
      reads.inc({ tenant, from: 'system' });
      return output;
    } finally {
      this.flights.delete(key);
    }
  }

  /** @throws the error if there is no output that may be used in its place */
  private staleAfter(error: unknown, key: string, tenant: string, { ttlMs, staleIfErrorMs = 0 }: ReadCaching): Json {
    const isAway = error instanceof DomainError && error.outcome === 'retry' && !error.ours;
    const stale = isAway && staleIfErrorMs > 0 ? this.cache.get(key, ttlMs + staleIfErrorMs) : undefined;
    if (stale === undefined) throw error;
    reads.inc({ tenant, from: 'stale' });
    return stale.output;
  }

  private async call(tenant: string, operation: StepCall, send: SendOperation): Promise<Json> {
    const connection = this.connections.open(tenant, operation.connection);
    const found = operation.reachedAt === undefined ? undefined : await this.effectOf(connection, operation, operation.reachedAt);
    if (found !== undefined) return found.output;
    const begun = { connection: operation.connection, operation: operation.operation, startedAt: wallTime() };
    return send((record) => this.send(connection, operation, record, begun), begun);
  }

  /**
   * The output of an effect that an earlier attempt had; undefined if the operation may be sent again.
   * @throws OperationUncertain, OperationUnsettled; OperationFailure if the look-up may succeed later
   */
  private async effectOf(connection: OpenConnection, operation: StepCall, reachedAt: Date): Promise<{ output: Json } | undefined> {
    const idempotency = this.idempotencyOf(connection, operation);
    const uncertainBecause = (why: string): OperationUncertain =>
      new OperationUncertain(operation.connection, operation.operation, reachedAt, why);
    const why = secondEffect(
      { idempotency, timeoutMs: connection.timeoutMs },
      { reachedAt, atLeastOnce: operation.atLeastOnce },
      wallTimeMs(),
    );
    if (why !== undefined) throw uncertainBecause(why);
    if (idempotency.class !== 'verify') return undefined;
    const verified = await this.connections.connectors.verify({ ...callOf(connection, operation), firstAttemptAt: reachedAt });
    if (verified.is === 'unsettled') throw new OperationUnsettled(operation.operation, latencyMs(wallTimeMs(), verified.settlesAtMs));
    if (verified.is === 'unknown') throw uncertainBecause(`refuses to say so (${verified.operation})`);
    return verified.is === 'found' ? { output: verified.result.output } : undefined;
  }

  private idempotencyOf(connection: OpenConnection, operation: StepCall): DeliveryIdempotency {
    const { idempotency } = this.connections.connectors.operation(connection, operation.operation);
    return idempotency === undefined || idempotency.class === 'declared' ? (operation.idempotency ?? { class: 'none' }) : idempotency;
  }

  /** Sends an operation once, and records the attempt. */
  private async send(
    connection: OpenConnection,
    operation: StepOperation & Pick<StepCall, 'effectKey'> & Partial<Pick<StepCall, 'reachedAt' | 'requireClaim'>>,
    record: RecordOperation,
    begun: BegunOperation = { connection: operation.connection, operation: operation.operation, startedAt: wallTime() },
  ): Promise<Json> {
    const { tenant } = connection;
    try {
      const { output, receipt } = await this.connections.connectors.run(callOf(connection, operation));
      attempts.inc({ tenant, outcome: 'ok' });
      await record({
        kind: 'operation',
        number: 1,
        ...begun,
        ...endOf(receipt, begun),
        outcome: 'succeeded',
        errorCode: null,
        errorMessage: null,
      });
      return output;
    } catch (error) {
      if (!(error instanceof DomainError) || operation.signal.aborted) throw error;
      const { code, message } = failureReason(error);
      const isUncertain = error instanceof OperationFailure && error.isUncertain;
      attempts.inc({ tenant, outcome: code });
      if (isUncertain) uncertain.inc({ tenant });
      const receipt = error instanceof OperationFailure ? error.receipt : null;
      const outcome = isUncertain ? 'uncertain' : 'failed';
      await record({ kind: 'operation', number: 1, ...begun, ...endOf(receipt, begun), outcome, errorCode: code, errorMessage: message });
      throw error;
    }
  }
}

function endOf(receipt: Receipt | null, { startedAt }: BegunOperation): Pick<OperationAttempt, 'finishedAt' | 'status' | 'excerpt'> {
  const finishedAt = new Date(Math.max(wallTimeMs(), startedAt.getTime()));
  return { finishedAt, status: receipt?.detail.status ?? null, excerpt: receipt?.detail.excerpt ?? null };
}

function callOf(
  connection: OpenConnection,
  {
    operation,
    input,
    effectKey,
    reachedAt,
    requireClaim,
    signal,
  }: StepOperation & Pick<StepCall, 'effectKey'> & Partial<Pick<StepCall, 'reachedAt' | 'requireClaim'>>,
): OperationCall {
  return { connection, operation, input, effectKey, firstAttemptAt: reachedAt, traceparent: currentTraceparent(), requireClaim, signal };
}

/** The version belongs to the key, because another one may lead to another system, or another account of it. */
function cacheKey(tenant: string, { name, version }: TenantConnection, { operation, input }: StepOperation): string {
  return hash('sha256', JSON.stringify([tenant, name, version, operation, canonical(input)]));
}
