import { HostAddressForbidden } from '#libs/http';
import type { Redaction } from '#libs/redaction';
import { oneLine } from '../judgement.js';
import { OperationFailure, timedOut } from '../operation.errors.js';
import type { OperationFailureCode } from '../operation.errors.js';
import type { PeerCondition, Receipt } from '../peer.js';

/** The fields by which nodemailer says what happened. Its own words can hold commands with a credential, so they are not passed on. */
interface MailerError extends Error {
  readonly code?: string;
  readonly responseCode?: number;
  readonly response?: string;
  readonly rejectedErrors?: readonly MailerError[];
}

export interface FailureContext {
  readonly host: string;
  readonly redaction: Redaction;
  /** True if the server may have the whole mail. */
  readonly wasSent: boolean;
}

/** The meaning of what a session with a mail server failed with. */
export function failureOf(error: unknown, context: FailureContext): OperationFailure {
  if (error instanceof OperationFailure) return error;
  if (error instanceof HostAddressForbidden)
    return new OperationFailure('operation.addressForbidden', error.message, { peer: 'unknown', cause: error });
  const told = error as MailerError;
  const reply = replyOf(told);
  return reply === undefined ? brokenOff(told, context) : refusal(reply, told, context);
}

/** The reply of a server to a mail, or to the command that it refused. */
export function receiptOf(code: number, response: string, redaction: Redaction): Receipt {
  const said = oneLine(redaction.apply(response).replace(/^\d{3}[ -]/, ''));
  return {
    summary: `reply ${code}${said === '' ? '' : ` “${said}”`}`,
    detail: { status: code, excerpt: redaction.apply(response).slice(0, 4_096) },
  };
}

interface Reply {
  readonly code: number;
  readonly text: string;
}

/** The reply that decides: of several recipients that were refused, one that may be taken later. */
function replyOf({ responseCode, response = '', rejectedErrors = [] }: MailerError): Reply | undefined {
  const later = rejectedErrors.find((one) => one.responseCode !== undefined && one.responseCode < 500);
  if (later !== undefined) return { code: later.responseCode!, text: later.response ?? '' };
  return responseCode === undefined ? undefined : { code: responseCode, text: response };
}

/** A reply says what became of the mail, also after it was sent whole. */
function refusal({ code, text }: Reply, { code: kind }: MailerError, { redaction }: FailureContext): OperationFailure {
  const receipt = receiptOf(code, text, redaction);
  const [is, verb, peer] = meaningOf(code, kind);
  return new OperationFailure(is, `The mail server ${verb} ${receipt.summary}`, { peer, receipt });
}

function meaningOf(code: number, kind: string | undefined): [OperationFailureCode, string, PeerCondition] {
  const isCredential = code === 530 || code === 535 || code === 534 || code === 538 || (kind === 'EAUTH' && code >= 500);
  if (isCredential) return ['operation.unauthorized', 'refused the credential with', 'unauthorized'];
  if (code >= 500) return ['operation.refused', 'refused the mail with', 'up'];
  return ['operation.unavailable', 'did not take the mail for now:', code === 421 || code === 454 ? 'failing' : 'up'];
}

function brokenOff({ code, message }: MailerError, { host, wasSent }: FailureContext): OperationFailure {
  if (code === 'EAUTH') {
    const text = `The mail server ${host} offers no way to log in that fits the credential`;
    return new OperationFailure('operation.unauthorized', text, { peer: 'unauthorized' });
  }
  const after = wasSent ? ' after the mail was sent, so that it may have it' : '';
  if (code === 'ETIMEDOUT') return timedOut(`The mail server ${host} did not answer in time${after}`, wasSent);
  const words = code === 'ETLS' ? `cannot be encrypted: ${oneLine(message)}` : `broke off${after}`;
  return new OperationFailure('operation.unavailable', `The session with the mail server ${host} ${words}`, {
    peer: 'unreachable',
    isUncertain: wasSent,
  });
}
