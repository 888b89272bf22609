import { Injectable } from '@nestjs/common';
import { eventSourceKinds, referencesOf } from '#libs/contracts';
import type { DocumentKind } from '#libs/contracts';
import { DocumentTable, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import type { DocumentName } from './document.operations.js';

/** So many runs that have not completed are looked at, the latest first: those that failed are among them. */
const mostLooks = 10_000;
/** So many versions of flows are read, those with the most runs first. */
const mostVersions = 50;

const byFlowVersion = statement(
  'query.document.unendedRuns',
  `SELECT flow, flow_version AS version, count(*)::integer AS runs, count(*) FILTER (WHERE state = 'waiting')::integer AS waiting
   FROM (SELECT flow, flow_version, state FROM run WHERE tenant_id = $1 AND state <> 'completed' ORDER BY started_at DESC LIMIT ${mostLooks}) AS latest
   WHERE state IN ('running', 'waiting') GROUP BY flow, flow_version ORDER BY runs DESC, flow, flow_version LIMIT ${mostVersions}`,
);

/** Runs that have not ended, of one version of a flow. */
interface UnendedRuns {
  readonly flow: string;
  readonly version: number;
  readonly runs: number;
  readonly waiting: number;
  /** The documents that the version names. */
  readonly names: readonly { readonly kinds: readonly DocumentKind[]; readonly name: string }[];
}

/** Runs that still need documents which no current document names: a run keeps the version of its flow. */
@Injectable()
export class UnendedRunTable {
  constructor(private readonly documents: DocumentTable) {}

  /** Says of each of these documents how many runs need it that have not ended; undefined if none does. */
  async needing(session: Session, tenant: string, removed: readonly DocumentName[]): Promise<(string | undefined)[]> {
    if (!removed.some(({ kind }) => isNeeded(kind))) return removed.map(() => undefined);
    const rows = await session.query<Omit<UnendedRuns, 'names'>>(byFlowVersion, [tenant]);
    const unended: UnendedRuns[] = [];
    for (const row of rows) {
      const stored = await this.documents.version(session, { tenant, kind: 'Flow', name: row.flow }, row.version);
      unended.push({ ...row, names: stored === undefined ? [] : referencesOf(stored.document) });
    }
    return removed.map((document) => doubtAbout(document, unended));
  }
}

/** An event that came needs its source no more. */
function isNeeded(kind: DocumentKind): boolean {
  return !eventSourceKinds.some((one) => one === kind);
}

function doubtAbout({ kind, name }: DocumentName, unended: readonly UnendedRuns[]): string | undefined {
  if (!isNeeded(kind)) return undefined;
  const users = unended.filter(({ names }) => names.some((one) => one.kinds.includes(kind) && one.name === name));
  if (users.length === 0) return undefined;
  const [runs, waiting] = [sumOf(users.map((one) => one.runs)), sumOf(users.map((one) => one.waiting))];
  const flows = users.map(({ flow, version }) => `${flow}, version ${version}`).join('; ');
  const who = runs === 1 ? '1 run that has not ended' : `${runs} runs that have not ended`;
  return `may be needed by ${who}, ${waiting} of which wait (${flows}): once ${kind}/${name} is gone, they fail when they come to it, so let them end, or cancel them`;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}
