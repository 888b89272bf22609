/** Limits of one model for one credential, for all processes together. Undefined: unknown, or there is none. */
export interface ModelLimits {
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}
