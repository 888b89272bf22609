/** Limits of one model for one credential, for all processes together. Undefined: unknown, or there is none. */
export interface ModelLimits {
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}

/** The rest of a limit for all who use the credential. */
export interface LimitLeft {
  readonly units: number;
  /** The ms after which the limit is whole again. Undefined: not stated. */
  readonly resetMs: number | undefined;
}

/** The limits that a provider states in an answer, and what was left of them then. */
export interface StatedLimits extends ModelLimits {
  readonly requestsLeft?: LimitLeft | undefined;
  readonly tokensLeft?: LimitLeft | undefined;
}
