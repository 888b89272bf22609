import type { FallbackReason, StructuredOutput } from '#libs/contracts';
import type { ModelEndpoint } from './model-endpoint.js';
import type { ModelLimits } from './model-limits.js';
import type { Usage } from './model-provider.js';
import {
  ModelAnswerTooLarge,
  ModelBudgetSpent,
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelNotFree,
  ModelOutage,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
import type { ModelFailure } from './model.errors.js';

/** The model that an inference asks, in the words of a flow. */
export type ModelTarget =
  /** `provider`: the name of a ModelProvider document; default: the provider of the installation. */
  | { readonly model: string; readonly provider?: string | undefined }
  /** The name of a ModelRoute document. */
  | { readonly route: string };

/** The price of a million tokens. */
export interface ModelPrice {
  readonly input: number;
  readonly output: number;
  /** A code of ISO 4217. */
  readonly currency: string;
}

/** A model that may be asked. */
export interface ModelCandidate {
  readonly endpoint: ModelEndpoint;
  readonly model: string;
  /** The longest time for it in ms. Default: half of the time that is left; all of it for the last candidate. */
  readonly timeoutMs?: number | undefined;
  readonly price?: ModelPrice | undefined;
  /** The configured limits. Those of the provider are learned. */
  readonly limits?: ModelLimits | undefined;
  /** Default: that of its provider. */
  readonly structuredOutput?: StructuredOutput | undefined;
  /** The longest output that it can give, in tokens. */
  readonly maxOutputTokens?: number | undefined;
}

/** The models of one inference, in the order in which they are asked. */
export interface ModelPlan {
  /** At least one. */
  readonly candidates: readonly ModelCandidate[];
  /** The failures after which the next one is asked. */
  readonly fallbackOn: ReadonlySet<FallbackReason>;
}

/** Finds the models that tenants name. */
export interface ModelDirectory {
  /**
   * @param installation the provider of the installation
   * @throws NotFound if the tenant has no such provider or route
   */
  planOf(tenant: string, target: ModelTarget, installation: ModelEndpoint): ModelPlan;
}

/**
 * The table of failures: the word of documents for each kind, the one for which waiting helps most first. If all candidates failed, the failure of the
 * first kind among them decides what becomes of the step: another try may find the others able again.
 */
const kinds = [
  [ModelBudgetSpent, 'budget'],
  [ModelLimited, 'limited'],
  [ModelOutage, 'unavailable'],
  [ModelUnavailable, 'unavailable'],
  [ModelCredentialRefused, 'credential'],
  [ModelMisconfigured, 'misconfigured'],
  [ModelOutputInvalid, 'invalidOutput'],
  [ModelAnswerTooLarge, 'answerTooLarge'],
  [ModelRefused, 'refused'],
  [ModelNotFree, 'budget'],
] as const satisfies [abstract: abstract new (...args: never[]) => ModelFailure, reason: FallbackReason | 'budget'][];

function placeOf(failure: ModelFailure): number {
  const place = kinds.findIndex(([kind]) => failure instanceof kind);
  if (place < 0) throw new Error(`${failure.name} stands in no row of the table of model failures`);
  return place;
}

/** The word of documents for the kind of the failure; `budget`, which they do not have, because a budget itself says whether the next one is asked. */
export function fallbackReasonOf(failure: ModelFailure): FallbackReason | 'budget' {
  return kinds[placeOf(failure)]![1];
}

/** The failure that decides what becomes of a step, out of those of all candidates. */
export function decisiveFailure(failures: readonly ModelFailure[]): ModelFailure {
  const [decisive] = failures.toSorted((one, other) => placeOf(one) - placeOf(other));
  return decisive!;
}

/** The cost of a call in billionths of the currency; undefined if the price or the usage is unknown. */
export function costNanosOf(price: ModelPrice | undefined, usage: Usage | undefined): number | undefined {
  if (price === undefined || usage === undefined) return undefined;
  const { inputTokens = 0, outputTokens = 0 } = usage;
  return Math.round((inputTokens * price.input + outputTokens * price.output) * 1_000);
}
