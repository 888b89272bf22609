import { z } from 'zod';
import { schemeKinds } from './schemes.generated.js';

type SchemeKinds = typeof schemeKinds;
/** The word by which a scheme says how requests prove who sent them. */
export type SignatureSchemeKind = keyof SchemeKinds;
export type SignatureSchemeOf<K extends SignatureSchemeKind> = z.infer<SchemeKinds[K]>;
export type SignatureScheme = { [K in SignatureSchemeKind]: SignatureSchemeOf<K> }[SignatureSchemeKind];
/** A scheme as it is written in a document, without the fields that have a default. */
export type SignatureSchemeInput = { [K in SignatureSchemeKind]: z.input<SchemeKinds[K]> }[SignatureSchemeKind];

const options = Object.values(schemeKinds);

/** How requests of a provider prove who sent them. Header names are case-insensitive. A kind is declared in `schemes/<kind>.scheme.ts`. */
export const signatureScheme: z.ZodType<SignatureScheme, SignatureSchemeInput> = z.discriminatedUnion(
  'kind',
  options as [(typeof options)[number]],
  { error: (issue) => (issue.code === 'invalid_union' ? `must be one of ${Object.keys(schemeKinds).join(', ')}` : undefined) },
);
