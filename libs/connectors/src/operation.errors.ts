import { DomainError } from '#libs/contracts';
import type { PeerCondition, Receipt } from './peer.js';

/** The input, or what an expression made of it, cannot become a request. */
export class InputRefused extends Error {}

interface FailureDetail {
  readonly peer: PeerCondition;
  readonly isUncertain?: boolean;
  readonly receipt?: Receipt | null;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

const codes = [
  'operation.refused',
  'operation.limited',
  'operation.unavailable',
  'operation.timeout',
  'operation.unauthorized',
  'operation.conflict',
  'operation.gone',
  'operation.addressForbidden',
  'operation.inputInvalid',
  'operation.outputInvalid',
] as const;
export type OperationFailureCode = (typeof codes)[number];

/**
 * An operation of a connector failed. Its code says how; `peer` what it showed of the system, and `isUncertain` whether it may have taken effect all the
 * same. Message, receipt and cause contain no secret.
 */
export class OperationFailure extends DomainError {
  readonly peer: PeerCondition;
  readonly isUncertain: boolean;
  /** Null if there was no response. */
  readonly receipt: Receipt | null;
  override readonly retryAfterMs?: number;

  constructor(
    readonly code: OperationFailureCode,
    message: string,
    { peer, isUncertain = false, receipt = null, retryAfterMs, cause }: FailureDetail,
  ) {
    super(message, { cause });
    this.peer = peer;
    this.isUncertain = isUncertain;
    this.receipt = receipt;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

/** No complete answer came by the deadline. */
export function timedOut(message: string, isUncertain: boolean, cause?: unknown): OperationFailure {
  return new OperationFailure('operation.timeout', message, { peer: 'unreachable', isUncertain, cause });
}
