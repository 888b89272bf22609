import type { StatedLimits } from './model-limits.js';
import { DomainError } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';
import type { Json } from '#libs/json';

interface ModelFailureDetails {
  /** The wait that the provider asks for, in ms. */
  retryAfterMs?: number | undefined;
  providerRequestId?: string | undefined;
  /** True if the response does not say whether it concerns this request alone or every one. The gateway then finds out. */
  mayConcernRequest?: boolean | undefined;
  /** The limits that the provider names. */
  limits?: StatedLimits | undefined;
  cause?: unknown;
}

interface UnavailableDetails extends ModelFailureDetails {
  /** How it failed: no connection, no answer before the deadline, or an answer that says so. Default: an answer. */
  by?: 'connection' | 'deadline' | 'answer' | undefined;
}

/** A call to a model that failed. The subclass says which of the few kinds of failure it is. */
export abstract class ModelFailure extends DomainError {
  override readonly retryAfterMs?: number;
  readonly providerRequestId?: string;
  readonly mayConcernRequest: boolean;

  constructor(message: string, { retryAfterMs, providerRequestId, mayConcernRequest = false, cause }: ModelFailureDetails = {}) {
    super(message, { cause });
    this.mayConcernRequest = mayConcernRequest;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
    if (providerRequestId !== undefined) this.providerRequestId = providerRequestId;
  }
}

/**
 * The provider could not be reached, failed, sent something unreadable, or did not respond by the deadline. Another try may succeed. With `mayConcernRequest`,
 * the response is a success that no model API sends; a probe shows whether one is there.
 */
export class ModelUnavailable extends ModelFailure {
  readonly code = 'model.unavailable';
  private readonly by: UnavailableDetails['by'];

  constructor(message: string, { by = 'answer', ...details }: UnavailableDetails = {}) {
    super(message, details);
    this.by = by;
  }

  /** True if the deadline ended the call. */
  get wasLate(): boolean {
    return this.by === 'deadline';
  }

  /** True if something at the address answered. */
  get wasAnswered(): boolean {
    return this.by === 'answer';
  }
}

/**
 * So many calls of the model failed lately that few or none are made. It is a state of the model and not of the request, so the event waits as long as
 * that takes and is never parked.
 */
export class ModelOutage extends ModelFailure {
  readonly code = 'model.outage';
  override readonly ours = true;
  override readonly isReported = true;
}

/** The provider limits the rate. The gateway throws it if the wait goes beyond the caller's deadline. */
export class ModelLimited extends ModelFailure {
  readonly code = 'model.limited';
  readonly limits: StatedLimits | undefined;

  constructor(message: string, details: ModelFailureDetails = {}) {
    super(message, details);
    this.limits = details.limits;
  }
}

/** A budget of the tenant is spent, and stops the calls that it counts until it begins anew or is raised. */
export class ModelBudgetSpent extends ModelFailure {
  readonly code = 'model.budgetSpent';
  override readonly isReported = true;
  /** The name of the Budget document. */
  readonly budget: string;
  /** When the budget begins anew. */
  readonly endsAt: Date;

  constructor(message: string, { budget, endsAt, ...details }: ModelFailureDetails & { budget: string; endsAt: Date }) {
    super(message, details);
    this.budget = budget;
    this.endsAt = endsAt;
  }
}

/** A budget of the tenant is spent, and the model is one that it counts. Another candidate may be one that it does not count. */
export class ModelNotFree extends ModelFailure {
  readonly code = 'model.notFree';
  /** The name of the Budget document. */
  readonly budget: string;

  constructor(message: string, { budget }: { budget: string }) {
    super(message);
    this.budget = budget;
  }
}

/** The key is wrong, forbidden or out of credit. The operator has to mend it, so the event waits as long as that takes and is never parked. */
export class ModelCredentialRefused extends ModelFailure {
  readonly code = 'model.credential';
  override readonly ours = true;
}

/** A probe was refused as well, so no request is taken with this key. It is a state of the provider, as {@link ModelMisconfigured} is. */
export class ModelKeyRefused extends ModelCredentialRefused {
  override readonly retryWithinMs = 15_000;
  override readonly isReported = true;
}

/**
 * There is no model API at the address that is configured. The operator has to mend it, so events wait as long as that takes and are never parked.
 * It is a state of the provider, which the gateway keeps: while it lasts, no request is sent but a probe now and then.
 */
export class ModelMisconfigured extends ModelFailure {
  readonly code = 'model.misconfigured';
  override readonly ours = true;
  override readonly retryWithinMs = 15_000;
  override readonly isReported = true;
}

/** The provider refuses this request for good: unknown model, wrong parameter, too long a context, a policy, a refusal of the model. */
export class ModelRefused extends ModelFailure {
  readonly code = 'model.refused';
}

/**
 * The answer is larger than any that a request can ask for, so it was not read to its end. Another try would cost as much, because a model that does
 * not stop is paid for what it wrote.
 */
export class ModelAnswerTooLarge extends ModelFailure {
  readonly code = 'model.answerTooLarge';
}

/** The gates that the output of a model passes, in this order. */
export const outputGates = ['size', 'json', 'schema', 'rules', 'grounding', 'markup'] as const;
export type OutputGateName = (typeof outputGates)[number];

const codeOfGate = {
  size: 'model.invalidOutput',
  json: 'model.invalidOutput',
  schema: 'model.invalidOutput',
  rules: 'model.brokenRule',
  grounding: 'model.ungroundedOutput',
  markup: 'model.foreignMarkup',
} as const satisfies Record<OutputGateName, FailureCode>;

/** A gate refused the output of a model: it was cut off, is not JSON, does not fit the schema, or is not what the flow allows. */
export class ModelOutputInvalid extends ModelFailure {
  readonly code: (typeof codeOfGate)[OutputGateName];

  constructor(
    readonly gate: OutputGateName,
    /** One line each; they name paths in the output and never quote it. */
    readonly problems: readonly string[],
    /** The refused output; undefined if it is no JSON. */
    readonly output?: Json,
  ) {
    super(`The model's output does not pass the gate ${gate}: ${problems.join('; ')}`);
    this.code = codeOfGate[gate];
  }
}
