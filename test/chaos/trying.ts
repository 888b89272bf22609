import { Client } from 'pg';
import { waitFor } from '#libs/testing';
import type { PromiseViolation } from './checker.js';
import { chaosKeys, chaosTenant } from './documents.js';
import { namesOf } from './history.js';

/** The flow that is tried. Its second version runs on every eighth event. */
const tried = 'tried';
/** Never applied, so that nothing of it may be decided or delivered. */
const unapplied = 99;

/** @param version what it decides. The first one waits, so that what is promoted of it goes on by itself */
function flowOf(version: number): object {
  const decide = { id: 'decide', map: { expression: `{ "version": ${version} }` } };
  const pause = { id: 'pause', wait: { for: 300 } };
  const tell = { id: 'tell', deliver: { destination: tried, payload: '{ "eventId": event.id, "version": steps.decide.version }' } };
  const spec = {
    on: { sources: ['partner'], when: 'event.data.data.review' },
    steps: version === 1 ? [decide, pause, { ...tell, needs: ['decide', 'pause'] }] : [decide, tell],
    decision: 'steps.decide',
  };
  return { apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: chaosTenant, name: tried }, spec };
}

/** Two versions of the flow, the second one current, and its destination. */
export function triedDocuments(url: string): object[] {
  const spec = {
    kind: 'http',
    url,
    secret: { value: chaosKeys.destination },
    retry: { delaysMs: Array.from({ length: 30 }, () => 1_000) },
  };
  return [{ apiVersion: 'millrace/v1', kind: 'Destination', metadata: { tenant: chaosTenant, name: tried }, spec }, flowOf(1), flowOf(2)];
}

/** A request that the destination of the flow got. */
export interface TriedArrival {
  readonly webhookId: string;
  readonly version: number;
}

/** How often it looks whether what it ordered has ended, and for how long. After that another round is worth more; the checker finds what never ends. */
const looks = { everyMs: 500, deadlineMs: 30_000 };
/** How often it asks again, under the same key, where no answer came. */
const tries = 5;

/** Backtests the first version of the flow and lets it count, and backtests one that is not applied, in turns. */
export class Trier {
  /** Promotions that were ordered. */
  promotions = 0;
  private rounds = 0;
  private stopped = false;
  private work: Promise<void> = Promise.resolve();

  constructor(private readonly graphql: string) {}

  start(): void {
    this.work = this.carryOn();
  }

  /** Lets the first version count once more, so that something is promoted however slow the machine is. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.work;
    await this.round(this.rounds + 1 + (this.rounds % 2)).catch(() => undefined);
  }

  private async carryOn(): Promise<void> {
    while (!this.stopped) {
      this.rounds += 1;
      await this.round(this.rounds).catch(() => undefined); // what it asks may be struck
    }
  }

  private async round(round: number): Promise<void> {
    const isApplied = round % 2 === 1;
    const flow = isApplied ? { applied: { name: tried, version: 1 } } : { document: flowOf(unapplied) };
    const start = `mutation ($input: StartBacktestInput!) { done: startBacktest(input: $input) { __typename ... on StartBacktestSuccess { trialId } } }`;
    const { trialId } = await this.order<{ trialId: string }>(start, { flow, last: 20, idempotencyKey: `try-${round}` });
    await this.ended('trial', trialId);
    if (!isApplied) return;
    this.promotions += 1;
    const promote = `mutation ($input: PromoteTrialInput!) { done: promoteTrial(input: $input) { __typename ... on PromoteTrialSuccess { operationId } } }`;
    const { operationId } = await this.order<{ operationId: string }>(promote, { id: trialId, idempotencyKey: `promote-${round}` });
    await this.ended('bulkOperation', operationId);
  }

  /** @throws Error if it does not end */
  private async ended(noun: 'trial' | 'bulkOperation', id: string): Promise<void> {
    const query = `query ($id: ID!) { one: ${noun}(id: $id) { state } }`;
    const hasEnded = async (): Promise<boolean> => {
      const { one } = await this.ask<{ one: { state: string } | null }>(query, { id });
      return one !== null && one.state !== 'RUNNING';
    };
    await waitFor(hasEnded, { what: `the end of ${id}`, ...looks });
  }

  private async order<T>(mutation: string, input: object): Promise<T> {
    for (let left = tries; left > 0; left -= 1) {
      const answer = await this.ask<{ done: T & { __typename: string } }>(mutation, { input }).catch(() => undefined);
      if (answer?.done.__typename.endsWith('Success') === true) return answer.done;
    }
    throw new Error('Nothing was ordered');
  }

  private async ask<T>(query: string, variables: Record<string, unknown>): Promise<T> {
    const answer = await fetch(this.graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${chaosKeys.operator}`, 'millrace-tenant': chaosTenant },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(5_000),
    });
    const { data, errors } = (await answer.json()) as { data?: T; errors?: unknown };
    if (errors !== undefined || data === undefined) throw new Error(`GraphQL answered ${answer.status}: ${JSON.stringify(errors)}`);
    return data;
  }
}

/** The rows that Postgres has of the flow and its trials. */
export interface TriedEvidence {
  readonly trials: readonly { readonly id: string; readonly state: string; readonly errorCode: string | null }[];
  /** Promotions that have not ended. */
  readonly openPromotions: number;
  readonly runs: readonly TriedRun[];
  readonly deliveries: readonly { readonly id: string; readonly runId: string; readonly state: string }[];
}

export interface TriedRun {
  readonly id: string;
  readonly ticket: string;
  readonly version: number;
  readonly state: string;
  readonly decision: { readonly version: number } | null;
  /** The promotion, or a replay; null for the event's own. */
  readonly commandId: string | null;
}

export async function readTried(databaseUrl: string): Promise<TriedEvidence> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const all = async <Row>(sql: string): Promise<Row[]> => (await client.query(sql, [chaosTenant, tried])).rows as Row[];
  try {
    const [open] = await all<{ open: number }>(
      `SELECT count(*)::float8 AS open, $2 AS flow FROM bulk_operation WHERE tenant_id = $1 AND kind = 'promotion' AND state = 'running'`,
    );
    return {
      trials: await all(`SELECT id, state, error_code AS "errorCode" FROM trial WHERE tenant_id = $1 AND flow = $2`),
      openPromotions: open!.open,
      runs: await all(
        `SELECT run.id, event.provider_event_id AS ticket, flow_version AS version, run.state, run.decision, command_id AS "commandId"
         FROM run JOIN event ON event.tenant_id = run.tenant_id AND event.id = run.event_id WHERE run.tenant_id = $1 AND flow = $2`,
      ),
      deliveries: await all(`SELECT id, run_id AS "runId", state FROM delivery WHERE tenant_id = $1 AND flow = $2`),
    };
  } finally {
    await client.end();
  }
}

/**
 * Every trial ends, nothing is decided or delivered by one, and what was promoted is decided as its version decides, and delivered once.
 * @param arrivals all requests, repeats under the same `webhook-id` included
 */
export function checkTried(
  { trials, openPromotions, runs, deliveries }: TriedEvidence,
  arrivals: readonly TriedArrival[],
): PromiseViolation[] {
  const trial = (ticket: string | undefined, what: string): PromiseViolation => ({ kind: 'trial', ticket, what });
  const runOf = new Map(runs.map((run) => [run.id, run]));
  const deliveriesOf = Map.groupBy(deliveries, ({ runId }) => runId);
  const deliveryOf = new Map(deliveries.flatMap((delivery) => namesOf(delivery.id).map((name) => [name, delivery])));
  const taken = new Set(arrivals.map(({ webhookId }) => deliveryOf.get(webhookId)?.id));
  return [
    ...trials.flatMap(({ id, state, errorCode }) => {
      if (state === 'running') return [trial(undefined, `${id} has not ended`)];
      return state === 'failed' ? [trial(undefined, `${id} failed: ${errorCode}`)] : [];
    }),
    ...(openPromotions === 0 ? [] : [trial(undefined, `${openPromotions} promotions have not ended`)]),
    ...runs.flatMap((run) => {
      const what = problemOf(run, deliveriesOf.get(run.id) ?? [], taken);
      return what === undefined ? [] : [trial(run.ticket, `${run.id} ${what}`)];
    }),
    ...[
      ...Map.groupBy(
        runs.filter(({ commandId }) => commandId !== null),
        ({ ticket, commandId }) => `${ticket} ${commandId}`,
      ).values(),
    ]
      .filter(({ length }) => length > 1)
      .map(([run, ...others]) => trial(run!.ticket, `${run!.id} and ${others.map(({ id }) => id).join(', ')} are of one command`)),
    ...deliveries
      .filter(({ runId }) => !runOf.has(runId))
      .map(({ id, runId }) => trial(undefined, `${id} is of ${runId}, which is no run`)),
    ...arrivals.flatMap(({ webhookId, version }) => {
      const run = runOf.get(deliveryOf.get(webhookId)?.runId ?? '');
      if (run !== undefined && run.decision?.version === version) return [];
      return [trial(run?.ticket, `${webhookId} was sent with what version ${version} decides, which no run of it did`)];
    }),
  ];
}

function problemOf(
  { version, state, decision, commandId }: TriedRun,
  deliveries: TriedEvidence['deliveries'],
  taken: ReadonlySet<string | undefined>,
): string | undefined {
  if (state !== 'completed') return `is ${state} at the end`;
  if (decision?.version !== version) return `decided as ${JSON.stringify(decision)} in version ${version}`;
  if (version === 1 && commandId === null) return 'is of version 1, and nobody promoted it';
  if (deliveries.length !== 1) return `has ${deliveries.length} deliveries`;
  return taken.has(deliveries[0]!.id) ? undefined : `was not delivered`;
}
