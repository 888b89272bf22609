import type { InferenceRequest, ModelAttempt } from './inference.js';
import type { ModelCandidate } from './model-directory.js';

/** The calls of one flow. */
export type SpendingOwner = Pick<InferenceRequest, 'tenant' | 'flow'>;

/** Counts what calls of models cost, and says when a budget is spent. It answers from memory, because it is asked before each candidate. */
export interface ModelSpending {
  /** @throws ModelBudgetSpent if no candidate is to be asked, ModelNotFree if this one is not */
  requireAllowance(owner: SpendingOwner, candidate: Pick<ModelCandidate, 'price'>): void;
  /** Called once after each call. */
  note(owner: SpendingOwner, attempt: ModelAttempt): void;
}
