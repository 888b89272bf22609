import type { FailureCode, Idempotency } from '#libs/contracts';
import type { Json } from '#libs/json';

/** One use of an operation by a step. */
export interface StepOperation {
  /** The path of the step. */
  readonly step: string;
  readonly connection: string;
  readonly operation: string;
  readonly input: Json;
  /** Aborted when the claim of the run is lost. */
  readonly signal: AbortSignal;
}

/** How long the output of an operation that reads is used again. */
export interface ReadCaching {
  readonly ttlMs: number;
  /** For how long after that it is used where the system is away. Default: not at all. */
  readonly staleIfErrorMs?: number | undefined;
}

/** One use of an operation that writes. */
export interface StepCall extends StepOperation {
  readonly effectKey: string;
  /** Called right before it is sent. @throws if another process may have the run */
  readonly requireClaim: () => void;
  /** When the first earlier attempt began that took effect, or may have; undefined if there is none. */
  readonly reachedAt: Date | undefined;
  /** True: it may take effect more than once. */
  readonly atLeastOnce: boolean;
  /** The idempotency class that the step says, of an operation whose input decides what it does. */
  readonly idempotency?: Idempotency | undefined;
}

/** An operation of a connection that is about to be sent. */
export interface BegunOperation {
  readonly connection: string;
  readonly operation: string;
  readonly startedAt: Date;
}

/** The record of one attempt of an operation. */
export interface OperationAttempt extends BegunOperation {
  /** From 1, within one call. */
  readonly number: number;
  readonly finishedAt: Date;
  /** `uncertain`: it failed, and may have taken effect all the same. */
  readonly outcome: 'succeeded' | 'failed' | 'uncertain';
  /** The code of the system's protocol, if it has codes that are numbers. */
  readonly status: number | null;
  /** The start of what the system said. */
  readonly excerpt: string | null;
  readonly errorCode: FailureCode | null;
  readonly errorMessage: string | null;
}

/** Records one finished attempt. */
export type RecordOperation = (attempt: { readonly kind: 'operation' } & OperationAttempt) => Promise<void>;

/**
 * Sends an operation under the fence of its run.
 * @param make is called once the run may send; it is given the way to record the attempt
 * @param begun is stored before, for an operation that writes
 */
export type SendOperation = (make: (record: RecordOperation) => Promise<Json>, begun?: BegunOperation) => Promise<Json>;

/** The operations of one tenant's connections, as steps use them. */
export interface TenantOperations {
  /**
   * The output of an operation that reads: a stored one, or a fresh one.
   * @param send is called if the system has to be asked
   * @throws DomainError
   */
  read(operation: StepOperation, caching: ReadCaching | undefined, send: SendOperation): Promise<Json>;
  /**
   * Sends an operation that writes, once.
   * @throws DomainError, of the code `operation.uncertain` if an earlier attempt may have taken effect and another could take effect again
   */
  call(operation: StepCall, send: SendOperation): Promise<Json>;
}
