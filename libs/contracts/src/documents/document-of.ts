import { z } from 'zod';
import { name } from '../names.js';

export const apiVersion = 'millrace/v1';

/** The fields that begin documents of every kind. */
export const documentVersion = z.literal(apiVersion).describe('The format of the document.');
export const documentName = name.describe(
  'The name, unique among documents of its kind and tenant: 1 to 63 lower-case letters, digits or inner dashes. A document of the same kind, tenant and name replaces this one.',
);

export function kindOf<Kind extends string>(kind: Kind): z.ZodLiteral<Kind> {
  return z.literal(kind).describe('What the document is; the kind decides the fields of `spec`.');
}

/** The schema of a document of this kind that belongs to a tenant. */
export function documentOf<Kind extends string, Spec extends z.ZodType>(kind: Kind, spec: Spec, about: string) {
  const metadata = z
    .strictObject({
      tenant: name.describe('The tenant that the document belongs to: 1 to 63 lower-case letters, digits or inner dashes.'),
      name: documentName,
    })
    .describe('Whose document it is, and its name.');
  return z.strictObject({ apiVersion: documentVersion, kind: kindOf(kind), metadata, spec }).describe(about);
}
