import { failureOutside } from '../database-session.js';
import type { DatabaseContext } from '../database-session.js';
import { oneLine } from '../judgement.js';
import { OperationFailure } from '../operation.errors.js';
import type { OperationFailureCode } from '../operation.errors.js';
import type { PeerCondition } from '../peer.js';

interface ServerError extends Error {
  readonly errno?: number;
  readonly sqlState?: string;
}

/** The row has a key that another one has. */
export const duplicateKey = 1062;
const loginRefused = new Set([1045, 1698, 1820, 1862, 4151, 3118]);
/** The statement took too long: for its lock, or by the limit of its session. */
const tooLate = new Set([1205, 1969, 3024]);
/** The server undid the transaction, which can be repeated. */
const undone = new Set([1213, 1020, 1412]);
/** The server or the account has no session or no room left, or is about to stop. */
const failing = new Set([1021, 1037, 1040, 1041, 1053, 1078, 1079, 1203, 1226, 1317, 1927, 3168, 4031]);

/** The meaning of what a session with a server failed with. Until a commit was asked for, nothing can have taken effect. */
export function failureOf(error: unknown, context: DatabaseContext): OperationFailure {
  const { errno, sqlState, message } = error as ServerError;
  // Errors of the socket have numbers, too, but no state.
  return errno !== undefined && errno > 0 && sqlState !== undefined ? told(errno, message, context) : failureOutside(error, context);
}

function told(errno: number, message: string, { redaction, isCommitting }: DatabaseContext): OperationFailure {
  const said = redaction.apply(message);
  const receipt = { summary: `error ${errno} “${oneLine(said)}”`, detail: { status: errno, excerpt: said.slice(0, 4_096) } };
  const [is, verb, peer] = meaningOf(errno);
  const isUncertain = isCommitting && is !== 'operation.refused' && !undone.has(errno);
  return new OperationFailure(is, `The database ${verb} ${receipt.summary}`, { peer, receipt, isUncertain });
}

function meaningOf(errno: number): [OperationFailureCode, string, PeerCondition] {
  if (loginRefused.has(errno)) return ['operation.unauthorized', 'refused the credential with', 'unauthorized'];
  if (tooLate.has(errno)) return ['operation.timeout', 'gave up with', 'up'];
  if (undone.has(errno)) return ['operation.unavailable', 'undid the statement, which can be repeated, with', 'up'];
  if (failing.has(errno)) return ['operation.unavailable', 'failed with', 'failing'];
  return ['operation.refused', 'refused the statement with', 'up'];
}
