import { z } from 'zod';

/**
 * Names of tenants and documents: a DNS label (RFC 1123), because they stand in URLs, record keys, topic headers and metric labels.
 * No dot and no slash, so `tenant.name` and `tenant/customer` can always be taken apart again.
 */
export const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 lower-case letters, digits or inner dashes');

/**
 * The partition key of a customer within its tenant, as the partner knows it: 1 to 256 visible characters. `-` is reserved for "the source
 * names no customer".
 */
export const customerKey = z
  .string()
  .min(1, 'must not be empty')
  .max(256, 'must be at most 256 characters')
  // eslint-disable-next-line no-control-regex
  .regex(/^[^\u0000-\u001f\u007f]+$/, 'must not contain control characters');

/** Events whose source expression yields no customer share this one key, and so one order. */
export const noCustomer = '-';

export const lanes = ['high', 'normal', 'low'] as const;
/** The priority class of an event, chosen at the door; one topic each. */
export type Lane = (typeof lanes)[number];

/** `tenant.name`: the address of a source in a URL (`POST /webhooks/{sourceId}`). */
export function sourceAddress(tenant: string, source: string): string {
  return `${tenant}.${source}`;
}

/** The inverse of {@link sourceAddress}; null if the text is not an address. */
export function parseSourceAddress(address: string): { tenant: string; source: string } | null {
  const [tenant, source, ...rest] = address.split('.');
  if (tenant === undefined || source === undefined || rest.length > 0) return null;
  return name.safeParse(tenant).success && name.safeParse(source).success ? { tenant, source } : null;
}

/** The key of every record about a customer. Kafka partitions by it and the consumer orders by it. */
export function recordKey(owner: { tenant: string; customer: string }): string {
  return `${owner.tenant}/${owner.customer}`;
}
