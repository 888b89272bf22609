import { ConnectionNeedsReauth, ConnectionUnavailable } from '#libs/connections';
import { DomainError } from '#libs/contracts';
import { Stopwatch } from '#libs/time';
import type { ConnectionHealth, OpenConnection } from './connector.js';
import type { Connectors } from './connectors.js';
import { OperationFailure } from './operation.errors.js';

/** The outcome of a request that was sent as a connection only to see whether it works. */
export interface ProbeResult {
  /** True if the system answered and did not refuse the credential. */
  readonly isAccepted: boolean;
  /** The code of the answer, such as the status of HTTP; null if there was none, or the system's protocol has no such code. */
  readonly status: number | null;
  /** The account, if the system names it. */
  readonly account: string | null;
  /** One sentence for a person. */
  readonly message: string;
  readonly durationMs: number;
}

export interface ProbeParts {
  readonly connectors: Connectors;
  /** Asks for a new token; false if the credential has none. */
  readonly renew: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** Statuses by which a system refuses a credential, or what it may do, although its connector does not say so. */
const refusing = new Set([403, 407]);

/**
 * Runs the test that the connector has for its connections. A system of HTTP may refuse the request as such, as one that has nothing at that path: what
 * counts is whether it takes the credential. An answer of 500 or more, one for which a wait would help, and one that is not of the connector's kind do not
 * say so.
 * @throws the signal's reason
 */
export async function probe(connection: OpenConnection, { connectors, renew, signal }: ProbeParts): Promise<ProbeResult> {
  const watch = new Stopwatch();
  const done = (found: Partial<ProbeResult> & Pick<ProbeResult, 'message'>): ProbeResult => ({
    isAccepted: false,
    status: null,
    account: null,
    ...found,
    durationMs: Math.round(watch.stop().durationMs),
  });
  const check = (): Promise<ConnectionHealth | undefined> => connectors.check({ connection, signal });
  try {
    const health = await check().catch(async (error: unknown) => {
      const mayPass = error instanceof ConnectionNeedsReauth || error instanceof ConnectionUnavailable;
      if (!mayPass || !(await renew())) throw error;
      return check();
    });
    if (health === undefined) {
      const { connector } = connection;
      const remedy =
        'name a request that reads in `spec.health` of its document, or with a WSDL an operation that reads in `spec.wsdl.check`, or run one of its operations that read';
      return done({ message: `Connections of the connector ${connector} cannot be tested, because it names no request for it: ${remedy}` });
    }
    const { account = null, receipt } = health;
    const named = account === null ? '' : `, for the account ${account}`;
    const status = receipt?.detail.status ?? null;
    return done({ isAccepted: true, status, account, message: `The system took the credential${named}` });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OperationFailure) return done(meaningOf(error));
    if (error instanceof DomainError) return done({ message: error.message });
    throw error;
  }
}

function meaningOf({ code, peer, receipt, message }: OperationFailure): Pick<ProbeResult, 'isAccepted' | 'status' | 'message'> {
  const status = receipt?.detail.status ?? null;
  if (status !== null && refusing.has(status))
    return { isAccepted: false, status, message: `The system refused the credential with ${receipt!.summary}` };
  const saysNothing = code === 'operation.unavailable' || code === 'operation.outputInvalid';
  if (status === null || status >= 500 || peer !== 'up' || saysNothing) return { isAccepted: false, status, message };
  return { isAccepted: true, status, message: `The system answered ${receipt!.summary}, and did not refuse the credential` };
}
