import { DomainError } from '#libs/contracts';
import type { ConnectionSpec } from '#libs/contracts';
import { HostAddressForbidden, HostTimedOut, HostUnreachable } from '#libs/http';
import type { HttpAnswer, HttpClient, HttpMethod } from '#libs/http';
import { Stopwatch } from '#libs/time';
import type { Authorizer } from './authorizer.js';
import { ConnectionNeedsReauth, ConnectionUnavailable } from './connection.errors.js';

/** The outcome of a request that was sent as a connection only to see whether it works. */
export interface ProbeResult {
  /** True if the system answered and did not refuse the credential. */
  readonly isAccepted: boolean;
  /** The status of the answer; null if there was none. */
  readonly status: number | null;
  /** One sentence for a person. */
  readonly message: string;
  readonly durationMs: number;
}

/** Statuses by which a system refuses a credential. */
const refusing = new Set([401, 403, 407]);

/**
 * Sends a GET to the base address of the connection. A system may answer 404 there: what counts is whether it takes the credential.
 * @param renew asks for a new token; false if there is none to be asked for
 */
export async function probe(
  { connector, settings, timeoutMs }: ConnectionSpec,
  authorizer: Authorizer,
  http: HttpClient,
  signal: AbortSignal,
  renew: () => Promise<boolean>,
): Promise<ProbeResult> {
  const watch = new Stopwatch();
  const done = (isAccepted: boolean, status: number | null, message: string): ProbeResult => ({
    isAccepted,
    status,
    message,
    durationMs: Math.round(watch.stop().durationMs),
  });
  const { base } = settings;
  if (typeof base !== 'string') {
    const message = `connections of the connector ${connector} cannot be tested, because it has no setting \`base\`: run one of its operations that read`;
    return done(false, null, message);
  }
  const send = async (): Promise<HttpAnswer & { refusedAgain: boolean }> => {
    const request = { method: 'GET', url: base, headers: { accept: '*/*', 'user-agent': 'Millrace' } };
    const first = await authorizer.authorize(request, signal);
    const answer = await exchange(http, first, timeoutMs, signal);
    if (answer.status !== 401) return { ...answer, refusedAgain: false };
    if (!(await authorizer.refused(first, signal))) return { ...answer, refusedAgain: true };
    return { ...(await exchange(http, await authorizer.authorize(request, signal), timeoutMs, signal)), refusedAgain: true };
  };
  try {
    const { status } = await send().catch(async (error: unknown) => {
      const mayPass = error instanceof ConnectionNeedsReauth || error instanceof ConnectionUnavailable;
      if (!mayPass || !(await renew())) throw error;
      return send();
    });
    if (refusing.has(status)) return done(false, status, `the system refused the credential with status ${status}`);
    if (status >= 500) return done(false, status, `the system answered ${status}: it does not say whether it takes the credential`);
    return done(true, status, `the system answered ${status}, and did not refuse the credential`);
  } catch (error) {
    signal.throwIfAborted();
    const isExpected = [HostUnreachable, HostTimedOut, HostAddressForbidden, DomainError].some((kind) => error instanceof kind);
    if (!isExpected) throw error;
    return done(false, null, (error as Error).message);
  }
}

function exchange(
  http: HttpClient,
  { method, url, headers, tls }: Awaited<ReturnType<Authorizer['authorize']>>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  return http.request({ method: method as HttpMethod, url, headers, timeoutMs, signal, tls, maxBodyBytes: 64 * 1024 });
}
