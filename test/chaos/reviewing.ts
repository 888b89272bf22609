import { isDeepStrictEqual } from 'node:util';
import { acknowledged } from './checker.js';
import type { PromiseViolation } from './checker.js';
import { chaosKeys, chaosTenant } from './documents.js';
import { idOf, isReviewed } from './history.js';
import type { History } from './history.js';
import { readRows } from './rows.js';

/** The flow that asks a person about every eighth event. */
const reviewing = 'reviewing';

export function reviewDocuments(): object[] {
  const review = {
    proposal: '{ "sequence": event.data.data.sequence }',
    default: '{ "sequence": 0 }',
    expiresAfter: 8_000,
    escalateAfter: 3_000,
  };
  return [
    {
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant: chaosTenant, name: reviewing },
      spec: {
        on: { sources: ['partner'], when: 'event.data.data.review' },
        steps: [{ id: 'approval', review }],
        decision: '{ "outcome": steps.approval.outcome, "value": steps.approval.value }',
      },
    },
  ];
}

/** The decision of a person, and whether they were told that it counts. */
export interface ToldDecision {
  readonly review: string;
  readonly person: string;
  readonly outcome: 'approved' | 'corrected';
  /** `unknown`: no answer came, however often the person asked. */
  readonly told: 'counts' | 'refused' | 'unknown';
}

/** A review as Postgres has it, with the decision of its run. */
export interface StoredReview {
  readonly id: string;
  readonly ticket: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly value: unknown;
  readonly decidedBy: string | null;
  readonly runState: string;
  readonly decision: { readonly outcome: string; readonly value: unknown } | null;
}

const roundMs = 400;
/** How often a person asks again, under the same key, where no answer came. */
const tries = 5;
const correction = { sequence: -1 };

/** Two people who decide the same reviews at the same time, and leave every fifth to the clock. */
export class Reviewers {
  readonly told: ToldDecision[] = [];
  private readonly seen = new Set<string>();
  private readonly deciding: Promise<void>[] = [];
  private rounds: NodeJS.Timeout | undefined;
  private round: Promise<unknown> = Promise.resolve();

  constructor(private readonly graphql: string) {}

  start(): void {
    this.rounds = setInterval(() => {
      this.round = this.round.then(() => this.look()).catch(() => undefined); // what it asks may be struck
    }, roundMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.rounds);
    await this.round;
    await Promise.all(this.deciding);
  }

  private async look(): Promise<void> {
    const { reviews } = await this.ask<{ reviews: { nodes: { id: string }[] } }>('{ reviews(first: 50) { nodes { id } } }');
    for (const { id } of reviews.nodes.filter((one) => !this.seen.has(one.id))) {
      this.seen.add(id);
      if (this.seen.size % 5 === 0) continue;
      const decisions = [this.decide(id, 'Ada', 'approved'), this.decide(id, 'Bob', 'corrected')];
      this.deciding.push(...(this.seen.size % 2 === 0 ? decisions : decisions.toReversed()));
    }
  }

  private async decide(review: string, person: string, outcome: ToldDecision['outcome']): Promise<void> {
    const [name, type] = outcome === 'approved' ? ['approveReview', 'ApproveReviewInput'] : ['correctReview', 'CorrectReviewInput'];
    const input = {
      id: review,
      reviewer: person,
      idempotencyKey: `${review}-${person}`,
      ...(outcome === 'corrected' && { value: correction }),
    };
    const query = `mutation ($input: ${type}!) { decided: ${name}(input: $input) { __typename } }`;
    for (let left = tries; left > 0; left -= 1) {
      const answer = await this.ask<{ decided: { __typename: string } }>(query, { input }).catch(() => undefined);
      if (answer === undefined || answer.decided.__typename === 'UnavailableError') continue;
      this.told.push({ review, person, outcome, told: answer.decided.__typename.endsWith('Success') ? 'counts' : 'refused' });
      return;
    }
    this.told.push({ review, person, outcome, told: 'unknown' });
  }

  private async ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
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

export function readReviews(databaseUrl: string): Promise<StoredReview[]> {
  return readRows(
    databaseUrl,
    `SELECT review.id, event.provider_event_id AS ticket, review.state, review.outcome, review.value, review.decided_by AS "decidedBy",
       run.state AS "runState", run.decision
     FROM review JOIN run ON run.tenant_id = review.tenant_id AND run.id = review.run_id
     JOIN event ON event.tenant_id = review.tenant_id AND event.id = review.event_id
     WHERE review.tenant_id = $1 AND review.flow = $2`,
    [chaosTenant, reviewing],
  );
}

/**
 * A person was asked about every acknowledged event of these, and one decision counts: the one that a person was told counts is in the review and in the run,
 * and nobody else was told so.
 */
export function checkReviews(
  { requests }: Pick<History, 'requests'>,
  stored: readonly StoredReview[],
  told: readonly ToldDecision[],
): PromiseViolation[] {
  const asked = new Set(stored.map(({ ticket }) => ticket));
  const byReview = Map.groupBy(told, ({ review }) => review);
  const lost = [...acknowledged(requests).values()].filter((ticket) => isReviewed(ticket) && !asked.has(idOf(ticket)));
  return [
    ...lost.map((ticket): PromiseViolation => ({ kind: 'lost', ticket: idOf(ticket), what: 'no person was asked about it' })),
    ...stored.flatMap((review): PromiseViolation[] => {
      const what = problemOf(review, byReview.get(review.id) ?? []);
      return what === undefined ? [] : [{ kind: 'review', ticket: review.ticket, what: `${review.id} ${what}` }];
    }),
  ];
}

function problemOf(review: StoredReview, told: readonly ToldDecision[]): string | undefined {
  const { state, outcome, value, decidedBy, runState, decision } = review;
  if (state !== 'decided' && state !== 'expired') return `is ${state} at the end`;
  if (runState !== 'completed') return `is ${state}, and its run is ${runState}`;
  if (decision?.outcome !== outcome || !isDeepStrictEqual(decision?.value, value))
    return `is ${outcome}, and its run went on with ${JSON.stringify(decision)}`;
  const counts = told.filter((one) => one.told === 'counts');
  if (counts.length > 1) return `was decided by ${counts.map(({ person }) => person).join(' and ')}, as both were told`;
  const [first] = counts;
  if (first !== undefined && (first.outcome !== outcome || !decidedBy!.startsWith(`${first.person} `)))
    return `is ${outcome} by ${decidedBy}, and ${first.person} was told that ${first.outcome} counts`;
  const unheard = told.find((one) => one.told === 'refused' && decidedBy?.startsWith(`${one.person} `));
  return unheard === undefined ? undefined : `is decided by ${unheard.person}, who was told that it is not`;
}
