import { z } from 'zod';
import { event } from '../events/event.operations.js';
import type { EventRow } from '../events/event.operations.js';
import { eventById } from '../events/event.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { priced } from '../operations/shape.js';
import { run, step } from '../runs/run.operations.js';
import type { RunRow } from '../runs/run.operations.js';
import { runById } from '../runs/run.table.js';
import type { StepRow } from '../runs/run.table.js';
import { triedStep } from '../trials/trial.operations.js';
import type { TriedStepRow } from '../trials/trial.operations.js';
import { ReviewChanges } from './review.changes.js';
import {
  approveReview,
  claimReview,
  correctReview,
  getReview,
  listReviews,
  rejectReview,
  releaseReview,
  review,
  reviewChanged,
} from './review.operations.js';
import type { ReviewRow } from './review.operations.js';
import { ReviewService } from './review.service.js';
import { ReviewTable, reviewById, reviewsOfEvent, reviewsOfRun } from './review.table.js';

const reviews = priced({ weight: 2, rows: 2 }, z.array(review));
const taken = priced({ weight: 1, rows: 1 }, review).nullable();

export const reviewPart = part({
  providers: [ReviewTable, ReviewService, ReviewChanges],
  node: { entity: review, find: ({ load }, id) => load(reviewById, id) },
  fields: [
    fieldsOf<ReviewRow>(review, (field) => ({
      // Both are kept as long as the review.
      event: field(event.describe('The event that the run works on.'), async ({ eventId }, { load }) => (await load(eventById, eventId))!),
      run: field(run.describe('The run that asks.'), async ({ runId }, { load }) => (await load(runById, runId))!),
    })),
    fieldsOf<RunRow>(run, (field) => ({
      reviews: field(reviews.describe('Its questions to people, the first first; the first 100 of them.'), ({ id }, { load }) =>
        load(reviewsOfRun, id),
      ),
    })),
    fieldsOf<EventRow>(event, (field) => ({
      reviews: field(reviews.describe('The questions of its runs to people, the first first; the first 100 of them.'), ({ id }, { load }) =>
        load(reviewsOfEvent, id),
      ),
    })),
    fieldsOf<StepRow>(step, (field) => ({
      takenReview: field(
        taken.describe(
          'The review of an earlier run whose decision is the output, because the run is a promoted outcome: the question was the same, and nobody was asked again. Null of all other steps.',
        ),
        async ({ reviewId }, { load }) => (reviewId === null ? null : load(reviewById, reviewId)),
      ),
    })),
    fieldsOf<TriedStepRow>(triedStep, (field) => ({
      takenReview: field(
        taken.describe('The review of the stored run whose decision is the output; null if `reviewSource` is not STORED.'),
        async ({ reviewId }, { load }) => (reviewId === null ? null : load(reviewById, reviewId)),
      ),
    })),
  ],
  operations: [
    handle(getReview, ({ load }, { id }) => load(reviewById, id)),
    handle(listReviews, ({ principal, get }, { filter, orderBy, ...page }) =>
      get(ReviewTable).page(principal.tenant, orderBy, filter ?? {}, page),
    ),
    handle(claimReview, async ({ principal, get }, input) => ({ review: await get(ReviewService).claim(principal, input) })),
    handle(releaseReview, async ({ principal, get }, input) => ({ review: await get(ReviewService).release(principal, input) })),
    handle(approveReview, async ({ principal, get }, input) => ({ review: await get(ReviewService).approve(principal, input) })),
    handle(correctReview, async ({ principal, get }, input) => ({ review: await get(ReviewService).correct(principal, input) })),
    handle(rejectReview, async ({ principal, get }, input) => ({ review: await get(ReviewService).reject(principal, input) })),
    handle(reviewChanged, ({ principal, get }, { filter }) => get(ReviewChanges).subscribe(principal.tenant, filter ?? {})),
  ],
});
