import { z } from 'zod';
import { reviewPriorities } from '#libs/contracts';
import { command, query, subscription } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, id, idempotencyKey, inputObject, json, pageArguments, pageOf, timestamp } from '../operations/shape.js';

export const reviewState = enumeration(
  'ReviewState',
  {
    pending: 'It waits for a person.',
    claimed: 'A person has claimed it, see `claimedBy`.',
    decided: 'A person has decided, see `outcome`.',
    expired: 'Nobody decided in time: the default is the value.',
    withdrawn: 'Its run ended without it.',
  },
  'How far a review got.',
);
export const reviewOutcome = enumeration(
  'ReviewOutcome',
  {
    approved: 'The value is the proposal.',
    corrected: 'The value is one that a person chose.',
    rejected: 'The value is the default.',
    expired: 'Nobody decided in time: the value is the default.',
  },
  'The decision of a review.',
);
export const reviewOrder = enumeration(
  'ReviewOrder',
  {
    queue:
      'Reviews that wait for a person, claimed ones too: escalated ones first, then by priority, then the one that has waited longest.',
    newest: 'All reviews, the last asked first.',
  },
  'Which reviews a list has, and in which order.',
);
export type ReviewOrder = z.infer<typeof reviewOrder>;

export const review = entity(
  'Review',
  {
    id: id.describe('The id, `rev_…`; it begins with the time at which a person was asked.'),
    flow: z.string().describe('The name of the flow whose run asks.'),
    step: z.string().describe('The path of the step that asks.'),
    customer: z.string().describe('The key of the customer.'),
    state: reviewState.describe('How far it got.'),
    priority: z.int().describe('From 0 to 9: 9 comes first. An escalated review has 9.'),
    proposal: json.describe('The value that a person decides on.'),
    defaultValue: json.describe('The value if nobody decides in time, or the proposal is rejected.'),
    schema: json.describe('The JSON Schema that the value has to fit; null if any does.'),
    reason: z.string().nullable().describe('Why a person is asked; null if the flow does not say.'),
    context: json.describe('What the flow shows beside the proposal. It may stem from outside: show it as text.'),
    askedAt: timestamp.describe('When a person was asked.'),
    expiresAt: timestamp.describe('When the default becomes the value.'),
    escalatesAt: timestamp.nullable().describe('When it goes to the front of the queue; null if it never does.'),
    escalatedAt: timestamp.nullable().describe('When it went to the front of the queue; null if it did not.'),
    claimedBy: z.string().nullable().describe('Who has claimed it; null if nobody has.'),
    claimedUntil: timestamp.nullable().describe('When the claim ends by itself; null if nobody has claimed it.'),
    outcome: reviewOutcome.nullable().describe('The decision; null while there is none.'),
    value: json.describe('The value that the run goes on with; null while there is no decision.'),
    decidedBy: z.string().nullable().describe('Who decided; null if nobody did.'),
    decisionReason: z.string().nullable().describe('Why, in the words of the person.'),
    endedAt: timestamp.nullable().describe('When it was decided, expired or was withdrawn; null while it is open.'),
  },
  { idPrefix: 'rev', about: 'A question of a run to a person.' },
);
export type ReviewRow = z.infer<typeof review> & { readonly runId: string; readonly eventId: string };

const filterFields = {
  states: z
    .array(reviewState)
    .min(1)
    .max(5, { error: 'may have at most 5 entries' })
    .nullish()
    .describe('Only reviews in one of these states.'),
  flow: z.string().nullish().describe('Of runs of this flow.'),
  customer: z.string().nullish().describe('The key of a customer.'),
  escalated: z.boolean().nullish().describe('True: only those that are escalated. False: only the others.'),
  priorityFrom: z
    .int()
    .min(reviewPriorities.least)
    .max(reviewPriorities.most)
    .nullish()
    .describe('Only those with this priority or a higher one.'),
};
export const reviewFilter = inputObject(
  'ReviewFilter',
  { ...filterFields, askedBefore: timestamp.nullish().describe('Only those that were asked before this time.') },
  'Which reviews a list has. All conditions given must hold.',
);
export type ReviewFilter = z.infer<typeof reviewFilter>;

export const getReview = query({
  name: 'review',
  about: 'A review by its id; null if there is none.',
  scope: 'review',
  input: z.strictObject({ id: id.describe('The id of the review, `rev_…`.') }),
  output: review.nullable(),
  failures: [],
});

export const listReviews = query({
  name: 'reviews',
  about: 'Reviews: those that wait for a person, in the order in which they are to be done, unless `orderBy` says otherwise.',
  scope: 'review',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: reviewFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
    orderBy: reviewOrder.default('queue').describe('Which reviews, and in which order.'),
  }),
  output: pageOf(review),
  failures: [],
});

const reviewId = id.describe('The id of the review, `rev_…`.');
const reviewer = z
  .string()
  .trim()
  .regex(/^[^()\p{C}]{1,100}$/u, { error: 'must be 1 to 100 characters, without brackets and control characters' })
  .nullish()
  .describe('The person, where several use one key: claims and decisions are theirs. Default: the key itself.');
const words = z.string().trim().min(1, { error: 'must not be empty' }).max(1_000, { error: 'must have at most 1000 characters' });
const aboutResult = 'It is done: the review is as it is now.';
const result = { review: review.describe('As it is now.') };

/** The longest claim. */
const longestClaimMinutes = 480;

export const claimReview = command({
  name: 'claimReview',
  about:
    'Claims a review, so that nobody else decides it meanwhile. A claim of somebody else is refused with who has it, and until when. Who has it may claim it\nagain, and has it for longer.',
  scope: 'review',
  cost: { weight: 10 },
  input: z.strictObject({
    id: reviewId,
    reviewer,
    minutes: z
      .int()
      .min(1)
      .max(longestClaimMinutes)
      .default(15)
      .describe('How long the claim holds, 1 to 480 minutes. After that it ends by itself.'),
    takeOver: z.boolean().nullish().describe('True: it is claimed although somebody else has it.'),
  }),
  result,
  aboutResult,
  failures: ['review.unknown', 'review.claimed', 'review.ended'],
});
export type ClaimReviewInput = InputOf<typeof claimReview>;

export const releaseReview = command({
  name: 'releaseReview',
  about: 'Gives a claimed review back. One that nobody has claimed stays as it is.',
  scope: 'review',
  cost: { weight: 10 },
  input: z.strictObject({ id: reviewId, reviewer }),
  result,
  aboutResult,
  failures: ['review.unknown', 'review.claimed', 'review.ended'],
});
export type ReleaseReviewInput = InputOf<typeof releaseReview>;

const deciding = {
  scope: 'review',
  cost: { weight: 10 },
  result,
  aboutResult,
  failures: ['review.unknown', 'review.claimed', 'review.ended', 'review.valueInvalid', 'request.idempotencyMismatch', 'evaluation.busy'],
} as const;

export const approveReview = command({
  ...deciding,
  name: 'approveReview',
  about:
    'Decides that the proposal is the value, and the run goes on. The first decision is final. It need not be claimed before, but nobody else may have\nclaimed it. A proposal that does not fit the schema of the review is refused: correct it.',
  input: z.strictObject({ id: reviewId, reviewer, reason: words.nullish().describe('Why, at most 1 000 characters.'), idempotencyKey }),
});
export type ApproveReviewInput = InputOf<typeof approveReview>;

export const correctReview = command({
  ...deciding,
  name: 'correctReview',
  about: 'Decides on another value, which has to fit the schema of the review, and the run goes on. Otherwise as `approveReview`.',
  input: z.strictObject({
    id: reviewId,
    value: json.describe('The value; at most 262 144 characters as JSON.'),
    reviewer,
    reason: words.nullish().describe('Why, at most 1 000 characters.'),
    idempotencyKey,
  }),
});
export type CorrectReviewInput = InputOf<typeof correctReview>;

export const rejectReview = command({
  ...deciding,
  name: 'rejectReview',
  about: 'Decides that the proposal does not hold: the default is the value, and the run goes on. Otherwise as `approveReview`.',
  input: z.strictObject({ id: reviewId, reviewer, reason: words.describe('Why, at most 1 000 characters.'), idempotencyKey }),
});
export type RejectReviewInput = InputOf<typeof rejectReview>;

export const reviewChangeKind = enumeration(
  'ReviewChangeKind',
  {
    requested: 'A run asks.',
    claimed: 'Somebody claimed it, or claimed it for longer.',
    released: 'Whoever had claimed it gave it back. A claim that ends by itself is no change.',
    escalated: 'It went to the front of the queue.',
    decided: 'A person decided.',
    expired: 'Nobody decided in time.',
    withdrawn: 'Its run ended without it.',
  },
  'What happened to a review.',
);
export type ReviewChangeKind = z.infer<typeof reviewChangeKind>;

export const reviewChange = entity(
  'ReviewChange',
  {
    change: reviewChangeKind.describe('What happened.'),
    at: timestamp.describe('When it happened.'),
    merged: z
      .int()
      .describe('How many earlier changes of the review this one stands for, where a subscriber reads more slowly than changes come in.'),
    review: review.describe('The review as it is when this is sent.'),
  },
  { about: 'One change of a review.' },
);
export type ReviewChangeRow = z.infer<typeof reviewChange> & { readonly review: ReviewRow };

export const reviewChangeFilter = inputObject(
  'ReviewChangeFilter',
  { flow: filterFields.flow, customer: filterFields.customer, escalated: filterFields.escalated, priorityFrom: filterFields.priorityFrom },
  'Of which reviews changes are sent. All conditions given must hold.',
);
export type ReviewChangeFilter = z.infer<typeof reviewChangeFilter>;

export const reviewChanged = subscription({
  name: 'reviewChanged',
  about:
    'Changes of the queue, as they happen, from the moment the subscription is open; what waits already is read with `reviews`. After a failure of the\ndatabase a change may come twice.',
  scope: 'review',
  input: z.strictObject({
    filter: reviewChangeFilter.nullish().describe('Only changes of reviews that meet all of these conditions; default: of every review.'),
  }),
  output: reviewChange,
  failures: ['subscription.overflow'],
});
