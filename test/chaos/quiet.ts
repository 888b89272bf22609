import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { chaosTenant } from './documents.js';
import type { OffsetWatch } from './offset-watch.js';
import type { Operator } from './operator.js';
import { entries } from './entry-list.js';

/** Counts of unfinished work. */
export interface Unfinished {
  readonly runs: number;
  /** Trials and promotions. */
  readonly trials: number;
  readonly deliveries: number;
  readonly deadLetters: number;
  /** Entries of the list that the pull has not read. */
  readonly entries: number;
  /** Customers with held records. */
  readonly holds: number;
  /** Records that a group has not committed. */
  readonly lag: number;
}

/** The parts of the run that know what is unfinished. */
interface QuietSystem {
  readonly databaseUrl: string;
  readonly watch: OffsetWatch;
  readonly operator: Operator;
  /** The length of the list that the pull reads. Default: 0, because there is no pull. */
  readonly entriesOffered?: number;
}

const intervalMs = 1_000;

/** Work that gets less is not stuck, but a machine may be too slow for a run. */
const longestPatience = 5;

/** Tells work that stands still from work that a busy machine does slowly: the deadline begins anew whenever less is left than ever before. */
export class Patience {
  private least = Infinity;
  private deadline: number;
  private readonly end: number;

  constructor(
    private readonly deadlineMs: number,
    now: number,
  ) {
    this.deadline = now + deadlineMs;
    this.end = now + longestPatience * deadlineMs;
  }

  /** @param left undefined if it could not be read */
  isOver(left: Unfinished | undefined, now: number): boolean {
    const sum = left === undefined ? Infinity : Object.values(left).reduce((total: number, count: number) => total + count, 0);
    if (sum < this.least) {
      this.least = sum;
      this.deadline = Math.min(now + this.deadlineMs, this.end);
    }
    return now > this.deadline;
  }
}

/**
 * Waits until all work is finished, acting as the operator meanwhile. Resolves with undefined, or with what is left when nothing of it has come to its end
 * for as long as the deadline says.
 */
export async function untilQuiet(system: QuietSystem, deadlineMs: number): Promise<Unfinished | undefined> {
  const patience = new Patience(deadlineMs, performance.now());
  for (;;) {
    const left = await unfinished(system).catch((error: unknown) => error);
    if (isQuiet(left)) return undefined;
    if (patience.isOver(left instanceof Error ? undefined : (left as Unfinished), performance.now())) {
      if (left instanceof Error) throw left;
      return left as Unfinished;
    }
    await pause(intervalMs);
  }
}

function isQuiet(left: unknown): boolean {
  return !(left instanceof Error) && Object.values(left as Unfinished).every((count) => count === 0);
}

async function unfinished({ databaseUrl, watch, operator, entriesOffered = 0 }: QuietSystem): Promise<Unfinished> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ runs: number; trials: number; deliveries: number; holds: number; cursor: string | null }>(
      `SELECT (SELECT count(*)::float8 FROM run WHERE state IN ('running', 'waiting') AND tenant_id = $1) AS runs,
        (SELECT count(*)::float8 FROM trial WHERE state = 'running' AND tenant_id = $1)
          + (SELECT count(*)::float8 FROM bulk_operation WHERE state = 'running' AND tenant_id = $1) AS trials,
        (SELECT count(*)::float8 FROM delivery WHERE state = 'pending' AND tenant_id = $1) AS deliveries,
        (SELECT count(*)::float8 FROM hold WHERE tenant_id = $1) AS holds,
        (SELECT cursor FROM pull WHERE tenant_id = $1 AND name = $2) AS cursor`,
      [chaosTenant, entries],
    );
    const { cursor, ...work } = rows[0]!;
    return { ...work, entries: entriesOffered - Number(cursor ?? 0), deadLetters: await operator.tidyUp(), lag: await watch.lag() };
  } finally {
    await client.end();
  }
}
