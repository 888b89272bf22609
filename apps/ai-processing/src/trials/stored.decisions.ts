import type { ReviewEnd, ReviewRequest } from '#libs/flows';
import type { Json } from '#libs/json';
import { isSameValue } from './difference.js';
import type { DecidedReview, ReviewSource, TriedStep, TrialOutcome } from './trial.store.js';

/** The decisions of people about a stored run, for the reviews of a trial that ask the same. */
export class StoredDecisions {
  private readonly sources = new Map<string, { readonly reviewSource: ReviewSource; readonly reviewId?: string }>();

  /** @param read reads the reviews of steps of the stored run that people have decided */
  constructor(private readonly read: (steps: readonly string[]) => Promise<readonly DecidedReview[]>) {}

  /** The decisions of these questions, by the paths of their steps. A question that nobody has decided is left out: its review expires. */
  async of(asked: ReadonlyMap<string, ReviewRequest>): Promise<Map<string, ReviewEnd>> {
    const reviews = new Map((await this.read([...asked.keys()])).map((review) => [review.step, review]));
    const ends = [...asked].map(([step, request]) => [step, this.endOf(step, request, reviews.get(step))] as const);
    return new Map(ends.filter((end): end is [string, ReviewEnd] => end[1] !== undefined));
  }

  private endOf(step: string, request: ReviewRequest, review: DecidedReview | undefined): ReviewEnd | undefined {
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
