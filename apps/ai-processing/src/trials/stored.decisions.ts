import type { ReviewEnd, ReviewRequest } from '#libs/flows';
import type { Json } from '#libs/json';
import { isSameValue } from './difference.js';
import type { DecidedReview, ReviewSource, TriedStep, TrialOutcome } from './trial.store.js';

/** The decisions of people about a stored run, for the reviews of a trial that ask the same. */
export class StoredDecisions {
  private readonly sources = new Map<string, { readonly reviewSource: ReviewSource; readonly reviewId?: string }>();
  private reviews: Promise<ReadonlyMap<string, DecidedReview>> | undefined;

  /** @param read the reviews of the stored run that people have decided, by the paths of their steps; called with the first question */
  constructor(private readonly read: () => Promise<ReadonlyMap<string, DecidedReview>>) {}

  /** Undefined if nobody has decided this question: the review expires. */
  async of(step: string, request: ReviewRequest): Promise<ReviewEnd | undefined> {
    const review = (await (this.reviews ??= this.read())).get(step);
    if (review === undefined || !isSameQuestion(review, request)) {
      this.sources.set(step, { reviewSource: review === undefined ? 'nobody' : 'otherQuestion' });
      return undefined;
    }
    this.sources.set(step, { reviewSource: 'stored', reviewId: review.id });
    const { outcome, value, by, reason, endedAt } = review;
    return { outcome, value, by, reason, at: endedAt.toISOString() };
  }

  sourceOf(step: string): Pick<TriedStep, 'reviewSource' | 'reviewId'> {
    return this.sources.get(step) ?? {};
  }

  get counts(): Pick<TrialOutcome, 'storedReviews' | 'expiredReviews'> {
    const all = [...this.sources.values()];
    const storedReviews = all.filter(({ reviewSource }) => reviewSource === 'stored').length;
    return { storedReviews, expiredReviews: all.length - storedReviews };
  }
}

/** A rejection chose the default, which the person was shown: of another default it says nothing. */
function isSameQuestion({ proposal, schema, outcome, defaultValue }: DecidedReview, request: ReviewRequest): boolean {
  return (
    isSameValue(proposal, request.proposal) &&
    isSameValue(schema, request.schema as Json) &&
    (outcome !== 'rejected' || isSameValue(defaultValue, request.default))
  );
}
