import { z } from 'zod';
import { name } from '../names.js';
import { destinationSpec } from './destination.js';
import { flowSpec } from './flow.js';
import { sourceSpec } from './source.js';
import { tenantSpec } from './tenant.js';

export const apiVersion = 'millrace/v1';
export const documentKinds = ['Tenant', 'Source', 'Flow', 'Destination'] as const;
export type DocumentKind = (typeof documentKinds)[number];

const head = { apiVersion: z.literal(apiVersion) };
const metadata = z.strictObject({ tenant: name, name });

export const tenantDocument = z
  .strictObject({ ...head, kind: z.literal('Tenant'), metadata: z.strictObject({ name }), spec: tenantSpec })
  .describe('A tenant: everything else belongs to one, and nothing crosses from one to another.');
export const sourceDocument = z
  .strictObject({ ...head, kind: z.literal('Source'), metadata, spec: sourceSpec })
  .describe("A partner's channel in: how its requests are verified, whose customer they are about, and how urgent they are.");
export const flowDocument = z
  .strictObject({ ...head, kind: z.literal('Flow'), metadata, spec: flowSpec })
  .describe('What happens to which events. Immutable per version: a run keeps the version it started with.');
export const destinationDocument = z
  .strictObject({ ...head, kind: z.literal('Destination'), metadata, spec: destinationSpec })
  .describe('A system that decisions are delivered to.');

/** The one schema of everything that `millrace apply` reads. */
export const document = z.discriminatedUnion('kind', [tenantDocument, sourceDocument, flowDocument, destinationDocument]);
export type Document = z.infer<typeof document>;
export type TenantDocument = z.infer<typeof tenantDocument>;
export type SourceDocument = z.infer<typeof sourceDocument>;
export type FlowDocument = z.infer<typeof flowDocument>;
export type DestinationDocument = z.infer<typeof destinationDocument>;

/** The tenant a document belongs to; a Tenant document belongs to itself. */
export function tenantOf(doc: Document): string {
  return doc.kind === 'Tenant' ? doc.metadata.name : doc.metadata.tenant;
}
