import { RateLimited } from '../openai/api.errors.js';
import { TokenBucket } from './token-bucket.js';

/** Limits requests and tokens per minute, and reports both in OpenAI's headers. */
export class RateLimits {
  private readonly requests: TokenBucket;
  private readonly tokens: TokenBucket;

  constructor(limits: { requestsPerMinute: number; tokensPerMinute: number }, now: () => number = () => performance.now()) {
    this.requests = new TokenBucket(limits.requestsPerMinute, now);
    this.tokens = new TokenBucket(limits.tokensPerMinute, now);
  }

  /**
   * Takes one request and its input tokens from the budgets.
   * @throws RateLimited
   */
  admit(inputTokens: number): void {
    const requestsMs = this.requests.waitMsFor(1);
    const tokensMs = this.tokens.waitMsFor(inputTokens);
    if (requestsMs > 0 || tokensMs > 0) {
      const [what, limit] = requestsMs >= tokensMs ? ['requests', this.requests.limit] : ['tokens', this.tokens.limit];
      throw new RateLimited(`Rate limit reached: ${limit} ${what} per minute.`, Math.max(requestsMs, tokensMs));
    }
    this.requests.take(1);
    this.tokens.take(inputTokens);
  }

  /** Takes the output tokens from the budget, once their number is known. */
  settle(outputTokens: number): void {
    this.tokens.take(outputTokens);
  }

  /** The headers `x-ratelimit-*` in OpenAI's format. */
  headers(): Record<string, string> {
    return {
      'x-ratelimit-limit-requests': String(this.requests.limit),
      'x-ratelimit-remaining-requests': String(this.requests.remaining),
      'x-ratelimit-reset-requests': duration(this.requests.resetMs),
      'x-ratelimit-limit-tokens': String(this.tokens.limit),
      'x-ratelimit-remaining-tokens': String(this.tokens.remaining),
      'x-ratelimit-reset-tokens': duration(this.tokens.resetMs),
    };
  }
}

/** Formats a duration as OpenAI does: `12ms`, `7.66s`, `1m3s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${ms}ms`;
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(2))}s`;
  return `${Math.floor(ms / 60_000)}m${Math.floor((ms % 60_000) / 1_000)}s`;
}
