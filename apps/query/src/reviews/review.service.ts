import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound } from '#libs/contracts';
import { TenantDatabase } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import { compileSchema } from '#libs/schemas';
import { latencyMs } from '#libs/time';
import { histogram } from '#libs/tracing';
import { AuditTable } from '../audit/audit.table.js';
import { IdempotencyKeyTable } from '../commands/idempotency-key.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import type { Violation } from '../operations/input.errors.js';
import type { CommandOperation } from '../operations/operation.js';
import { approveReview, claimReview, correctReview, rejectReview, releaseReview } from './review.operations.js';
import type {
  ApproveReviewInput,
  ClaimReviewInput,
  CorrectReviewInput,
  RejectReviewInput,
  ReleaseReviewInput,
  ReviewRow,
} from './review.operations.js';
import { ReviewTable } from './review.table.js';
import type { LockedReview, ReviewDecision } from './review.table.js';

/** The most characters of a value as JSON: as many as a proposal may have. */
const longestValue = 262_144;

const hour = 3_600;
const decided = histogram(
  'millrace_review_decision_seconds',
  'From the question of a run to the decision of a person, by outcome.',
  { outcome: ['approved', 'corrected', 'rejected'] },
  [60, 300, 900, hour, 4 * hour, 8 * hour, 24 * hour, 72 * hour, 168 * hour],
);

/** Who acts on a review: the key, or the person who is named beside it. */
interface Acting {
  readonly principal: Principal;
  readonly by: string;
}

/** A change of a review that was found possible, to be audited as what it is. */
interface Change {
  readonly review: ReviewRow;
  /** Undefined: nothing changed. */
  readonly detail?: Record<string, unknown>;
}

/** Claims and decides reviews. Each change is one transaction with its audit entry, under the lock of the review, so the first of two people wins. */
@Injectable()
export class ReviewService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly table: ReviewTable,
    private readonly keys: IdempotencyKeyTable,
    private readonly audit: AuditTable,
  ) {}

  /** @throws NotFound, InputInvalid */
  claim(principal: Principal, { id, reviewer, minutes, takeOver }: ClaimReviewInput): Promise<ReviewRow> {
    const acting = actingAs(principal, reviewer);
    const { by } = acting;
    return this.change(acting, claimReview, id, async (session, review) => {
      if (takeOver !== true) requireFree(review, by);
      const { claimedBy: from } = review;
      const detail = { by, minutes, ...(from === null || from === by ? {} : { takenFrom: from }) };
      return { review: await this.table.claim(session, principal.tenant, id, { by, minutes }), detail };
    });
  }

  /** @throws NotFound, InputInvalid */
  release(principal: Principal, { id, reviewer }: ReleaseReviewInput): Promise<ReviewRow> {
    const acting = actingAs(principal, reviewer);
    return this.change(acting, releaseReview, id, async (session, review) => {
      requireFree(review, acting.by);
      if (review.claimedBy === null) return { review };
      return { review: await this.table.release(session, principal.tenant, id), detail: { by: acting.by } };
    });
  }

  /** @throws NotFound, InputInvalid, EvaluationsBusy */
  async approve(principal: Principal, input: ApproveReviewInput): Promise<ReviewRow> {
    const { proposal } = await this.fitting(principal.tenant, input.id, {
      of: (review) => review.proposal,
      path: 'id',
      hint: 'the proposal does not fit, so it has to be corrected: ',
    });
    return this.decide(principal, approveReview, input, { outcome: 'approved', value: proposal });
  }

  /** @throws NotFound, InputInvalid, EvaluationsBusy */
  async correct(principal: Principal, input: CorrectReviewInput): Promise<ReviewRow> {
    const value = input.value ?? null;
    const { length } = JSON.stringify(value);
    if (length > longestValue)
      throw invalidValue([{ path: ['value'], message: `has ${length} characters as JSON; ${longestValue} are the most` }]);
    await this.fitting(principal.tenant, input.id, { of: () => value, path: 'value', hint: '' });
    return this.decide(principal, correctReview, input, { outcome: 'corrected', value });
  }

  /** @throws NotFound, InputInvalid */
  async reject(principal: Principal, input: RejectReviewInput): Promise<ReviewRow> {
    const { defaultValue } = await this.existing(principal.tenant, input.id);
    return this.decide(principal, rejectReview, input, { outcome: 'rejected', value: defaultValue });
  }

  private async decide(
    principal: Principal,
    operation: CommandOperation,
    input: ApproveReviewInput | RejectReviewInput,
    { outcome, value }: Pick<ReviewDecision, 'outcome' | 'value'>,
  ): Promise<ReviewRow> {
    const { id, reason = null } = input;
    const { tenant } = principal;
    const acting = actingAs(principal, input.reviewer);
    const { by } = acting;
    return this.change(
      acting,
      operation,
      id,
      async (session, review) => {
        requireFree(review, by);
        const row = await this.table.decide(session, tenant, id, { outcome, value, by, reason });
        decided.observe({ outcome }, latencyMs(row.askedAt.getTime(), row.endedAt!.getTime()) / 1_000);
        return { review: row, detail: { by, outcome, ...(reason === null ? {} : { reason }) } };
      },
      (session) => this.keys.bindIn(session, tenant, operation.name, input),
    );
  }

  /**
   * @param bind binds the caller's key, and resolves with true if it was bound to this input before: then the change is done already
   * @throws NotFound, InputInvalid
   */
  private change(
    { principal }: Acting,
    operation: CommandOperation,
    id: string,
    make: (session: Session, review: LockedReview) => Promise<Change>,
    bind: (session: Session) => Promise<boolean> = () => Promise.resolve(false),
  ): Promise<ReviewRow> {
    return this.database.asTenant(principal.tenant, async (session) => {
      const locked = await this.table.lock(session, principal.tenant, id);
      if (locked === undefined) throw new NotFound('review', id, { field: 'id' });
      if (await bind(session)) return locked;
      requireOpen(locked);
      const { review, detail } = await make(session, locked);
      if (detail !== undefined) await this.audit.recordIn(session, principal, [{ operation, target: id, detail }]);
      return review;
    });
  }

  /** The review, whose value fits its schema. */
  private async fitting(
    tenant: string,
    id: string,
    { of, path, hint }: { readonly of: (review: ReviewRow) => unknown; readonly path: string; readonly hint: string },
  ): Promise<ReviewRow> {
    const review = await this.existing(tenant, id);
    if (review.schema === null) return review;
    const problems = await compileSchema(review.schema as object, { owner: tenant }).problemsOf(of(review));
    if (problems.length > 0) throw invalidValue(problems.map((problem) => ({ path: [path], message: `${hint}${problem}` })));
    return review;
  }

  private async existing(tenant: string, id: string): Promise<ReviewRow> {
    const [review] = await this.table.byIds(tenant, [id]);
    if (review == null) throw new NotFound('review', id, { field: 'id' });
    return review;
  }
}

function actingAs(principal: Principal, reviewer: string | null | undefined): Acting {
  const { actor } = principal;
  return { principal, by: reviewer == null ? actor : `${reviewer} (${actor})` };
}

/** @throws InputInvalid if it is open no more */
function requireOpen({ id, state, outcome, decidedBy, endedAt, hasRun }: LockedReview): void {
  if ((state === 'pending' || state === 'claimed') && hasRun) return;
  const how =
    state === 'decided'
      ? `${outcome} by ${decidedBy} at ${endedAt!.toISOString()}`
      : state === 'expired'
        ? state
        : 'withdrawn: its run has ended';
  throw new InputInvalid([{ path: ['id'], message: `names a review that is open no more: ${id} is ${how}` }], 'review.ended');
}

/** @throws InputInvalid if somebody else has claimed it */
function requireFree({ id, claimedBy, claimedUntil }: ReviewRow, by: string): void {
  if (claimedBy === null || claimedBy === by) return;
  const message = `names a review that somebody else has: ${id} is claimed by ${claimedBy} until ${claimedUntil!.toISOString()}`;
  throw new InputInvalid([{ path: ['id'], message }], 'review.claimed');
}

function invalidValue(violations: readonly Violation[]): InputInvalid {
  return new InputInvalid(violations, 'review.valueInvalid');
}
