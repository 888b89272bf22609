import { failureOutside } from '../database-session.js';
import type { DatabaseContext } from '../database-session.js';
import { oneLine } from '../judgement.js';
import { OperationFailure } from '../operation.errors.js';
import type { OperationFailureCode } from '../operation.errors.js';
import type { PeerCondition } from '../peer.js';

/** The meaning of what a session with a database failed with. Until a commit was asked for, nothing can have taken effect. */
export function failureOf(error: unknown, context: DatabaseContext): OperationFailure {
  const { code = '', message } = error as Error & { code?: string };
  return /^[0-9A-Z]{5}$/.test(code) ? told(code, message, context) : failureOutside(error, context);
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
function told(state: string, message: string, { redaction, isCommitting }: DatabaseContext): OperationFailure {
  const said = oneLine(redaction.apply(message));
  const receipt = { summary: `SQLSTATE ${state} “${said}”`, detail: { excerpt: `${state} ${redaction.apply(message).slice(0, 4_096)}` } };
  const [is, verb, peer] = meaningOf(state);
  const isUnsaid = /^(?:08|57P|40003)/.test(state);
  return new OperationFailure(is, `The database ${verb} ${receipt.summary}`, { peer, receipt, isUncertain: isCommitting && isUnsaid });
}

function meaningOf(state: string): [OperationFailureCode, string, PeerCondition] {
  if (state.startsWith('28')) return ['operation.unauthorized', 'refused the credential with', 'unauthorized'];
  if (state === '57014' || state === '55P03') return ['operation.timeout', 'gave up with', 'up'];
  if (state.startsWith('40')) return ['operation.unavailable', 'undid the statement, which can be repeated, with', 'up'];
  if (state === '53300') return ['operation.unavailable', 'has no session left:', 'failing'];
  if (/^(?:08|53|57P|58|XX)/.test(state)) return ['operation.unavailable', 'failed with', 'failing'];
  return ['operation.refused', 'refused the statement with', 'up'];
}
