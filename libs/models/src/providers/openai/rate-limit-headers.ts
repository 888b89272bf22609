import type { ModelLimits } from '../../model-limits.js';

/** The limits in the headers of a response, in OpenAI's format. A number that is missing, or below 1 as some proxies send it, is unknown. */
export function limitsIn(headers: Pick<Headers, 'get'> | undefined): ModelLimits | undefined {
  const requestsPerMinute = limitIn(headers?.get('x-ratelimit-limit-requests'));
  const tokensPerMinute = limitIn(headers?.get('x-ratelimit-limit-tokens'));
  return requestsPerMinute === undefined && tokensPerMinute === undefined ? undefined : { requestsPerMinute, tokensPerMinute };
}

function limitIn(text: string | null | undefined): number | undefined {
  const limit = text === null || text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(limit) && limit >= 1 ? limit : undefined;
}
