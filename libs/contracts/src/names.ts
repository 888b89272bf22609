import { z } from 'zod';

/**
 * Names of tenants and documents: a DNS label (RFC 1123), because they stand in URLs, record keys, topic headers and metric labels.
 * No dot and no slash, so `tenant.name` and `tenant/customer` can always be taken apart again.
 */
export const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 lower-case letters, digits or inner dashes');

/**
 * The partition key of a customer within its tenant, as the partner knows it: 1 to 256 visible characters. `-` and what begins with `-/` are
 * reserved, see {@link isReservedCustomer}.
 */
export const customerKey = z
  .string()
  .min(1, 'must not be empty')
  .max(256, 'must be at most 256 characters')
  // eslint-disable-next-line no-control-regex
  .regex(/^[^\u0000-\u001f\u007f]+$/, 'must not contain control characters');

/** The customer of records that are about no event, such as the start of a bulk operation. */
export const noCustomer = '-';

const unnamedPrefix = '-/';

/** The customer of the events of a source that names none: `-/source`. They share one order, in which no event waits for one that was given up. */
export function unnamedCustomer(source: string): string {
  return unnamedPrefix + source;
}

/** True for the customer of events whose source named none. */
export function isUnnamedCustomer(customer: string): boolean {
  return customer.startsWith(unnamedPrefix);
}

/** True for keys that Millrace itself assigns, so that no partner's customer can have them. */
export function isReservedCustomer(customer: string): boolean {
  return customer === noCustomer || isUnnamedCustomer(customer);
}

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

/**
 * The inverse of {@link recordKey}; null if the text names no tenant. What follows the source of an unnamed customer is the number of one held
 * record, and does not belong to the customer.
 */
export function ownerOfKey(key: string): { tenant: string; customer: string } | null {
  const slash = key.indexOf('/');
  if (slash === -1) return null;
  const rest = key.slice(slash + 1);
  const end = isUnnamedCustomer(rest) ? rest.indexOf('/', unnamedPrefix.length) : -1;
  return { tenant: key.slice(0, slash), customer: end === -1 ? rest : rest.slice(0, end) };
}

/** The key under which one record of an unnamed customer is held, so that no other record waits for it. */
export function heldAloneKey(key: string, { logId, offset }: { logId: string; offset: number }): string {
  return `${key}/${logId}/${offset}`;
}
