import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { failureOf } from './refusal.js';

/** A problem as a door of ingestion answers it. */
export interface ProblemAnswer {
  readonly code?: string;
  readonly detail?: string;
  readonly field?: string;
}

/** The failure of a request to a door of ingestion, which takes keys of tenants only. */
export function doorFailure(
  connection: Connection,
  path: string,
  { status, problem: { code, detail, field } }: { readonly status: number; readonly problem: ProblemAnswer },
): CliFailure {
  if (code === undefined || detail === undefined || code === 'request.notFound') {
    return new CliFailure(
      `${connection.url} answered ${path} with status ${status}: --url must be the address of Millrace, in the distributed form that of ingestion`,
      'unusable',
    );
  }
  if (code === 'credential.invalid') {
    return new CliFailure(
      `The key from ${connection.keyFrom} is unknown, revoked or expired, or it is the operator’s, which may not send events: use an API key of the tenant, such as from millrace keys create NAME --scope ingest`,
      'unusable',
    );
  }
  return failureOf(connection, { code, message: detail, field });
}
