import type { LimitLeft, StatedLimits } from '../../model-limits.js';

type ReadHeaders = Pick<Headers, 'get'>;

/**
 * The limits in the headers of a response, in OpenAI's format. A number that is missing, or that some proxies send in its place (a limit below 1, a rest
 * below 0), is unknown.
 */
export function limitsIn(headers: ReadHeaders | undefined): StatedLimits | undefined {
  if (headers === undefined) return undefined;
  const requestsPerMinute = numberIn(headers, 'x-ratelimit-limit-requests', 1);
  const tokensPerMinute = numberIn(headers, 'x-ratelimit-limit-tokens', 1);
  const requestsLeft = leftIn(headers, 'requests');
  const tokensLeft = leftIn(headers, 'tokens');
  if ([requestsPerMinute, tokensPerMinute, requestsLeft, tokensLeft].every((each) => each === undefined)) return undefined;
  return {
    requestsPerMinute,
    tokensPerMinute,
    ...(requestsLeft === undefined ? {} : { requestsLeft }),
    ...(tokensLeft === undefined ? {} : { tokensLeft }),
  };
}

function leftIn(headers: ReadHeaders, what: 'requests' | 'tokens'): LimitLeft | undefined {
  const units = numberIn(headers, `x-ratelimit-remaining-${what}`, 0);
  return units === undefined ? undefined : { units, resetMs: durationIn(headers.get(`x-ratelimit-reset-${what}`)) };
}

function numberIn(headers: ReadHeaders, name: string, least: number): number | undefined {
  const text = headers.get(name);
  const value = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) && value >= least ? value : undefined;
}

const units = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** `12ms`, `7.66s`, `1m3s`, or seconds as a number, as Azure sends them. */
function durationIn(text: string | null): number | undefined {
  const given = text?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(given)) return Number(given) * units.s;
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(given)) return undefined;
  return [...given.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units],
    0,
  );
}
