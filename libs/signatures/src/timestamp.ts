import { SignatureExpired, SignatureMalformed } from './signature.errors.js';

export type TimestampUnit = 's' | 'ms' | 'rfc3339';

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970. @throws SignatureMalformed */
export function instantMsOf(timestamp: string, unit: TimestampUnit): number {
  if (unit === 'rfc3339') {
    const instantMs = rfc3339.test(timestamp) ? Date.parse(timestamp) : Number.NaN;
    if (Number.isNaN(instantMs)) throw new SignatureMalformed('The timestamp is not RFC 3339');
    return instantMs;
  }
  if (!/^\d{1,15}$/.test(timestamp)) throw new SignatureMalformed('The timestamp is not made of digits only');
  return Number(timestamp) * (unit === 's' ? 1_000 : 1);
}

/**
 * Call it after the signature was verified, so that a caller who cannot sign learns nothing about our clock.
 * @throws SignatureExpired
 */
export function refuseOutOfTolerance(instantMs: number, toleranceSeconds: number, nowMs: number): void {
  const aheadMs = instantMs - nowMs;
  if (Math.abs(aheadMs) > toleranceSeconds * 1_000) throw new SignatureExpired(aheadMs, toleranceSeconds);
}
