import { randomBytes } from 'node:crypto';

/** A name nobody else uses, good for a tenant, a document, a database, a topic or a consumer group: `acme-3f9c1a2b`. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`;
}
