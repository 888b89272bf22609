import { z } from 'zod';
import { documentTypes } from './documents.generated.js';
import { mapMarked, markedValues, requireReachableMarks } from './marks.js';
import type { Mark, MarkedValue } from './marks.js';
import type { Secret, StoredSecretReference } from './secret.js';

type DocumentTypes = typeof documentTypes;
/** Everything that `millrace apply` reads. A kind is declared in `<kind>.document.ts`. */
export type Document = { [K in keyof DocumentTypes]: z.infer<DocumentTypes[K]> }[keyof DocumentTypes];
export type DocumentKind = Document['kind'];
/** Finds a document of one tenant. */
export type DocumentLookup = (kind: DocumentKind, name: string) => Document | undefined;

const types = Object.values(documentTypes);
const typeOf = new Map<string, (typeof types)[number]>(types.map((type) => [type.shape.kind.value, type]));

/** The most documents that one apply changes, and the most that it removes. */
export const mostDocumentsAtOnce = 200;

export const documentKinds = [...typeOf.keys()] as DocumentKind[];
/** Each kind of document with the description of its schema. */
export const describedDocumentKinds = Object.fromEntries([...typeOf].map(([kind, type]) => [kind, type.description ?? ''])) as Record<
  DocumentKind,
  string
>;

/** The schema of a document of any kind. */
export const document: z.ZodType<Document> = z.discriminatedUnion('kind', types as [(typeof types)[number]]);

for (const [kind, type] of typeOf) requireReachableMarks(type, [kind]);

const kindsWithSecrets = new Map<DocumentKind, boolean>();

/** True if the schema of the kind has a field that is marked as a secret. */
export function canHoldSecrets(kind: DocumentKind): boolean {
  const known = kindsWithSecrets.get(kind);
  if (known !== undefined) return known;
  const mark: Mark = { kind: 'secret' };
  const schema = JSON.stringify(z.toJSONSchema(typeOf.get(kind)!, { io: 'input', unrepresentable: 'any' }));
  const found = schema.includes(`"x-millrace":${JSON.stringify(mark)}`);
  kindsWithSecrets.set(kind, found);
  return found;
}

/** The tenant a document belongs to; a Tenant document belongs to itself. */
export function tenantOf(doc: Document): string {
  return doc.kind === 'Tenant' ? doc.metadata.name : doc.metadata.tenant;
}

/** The expressions, JSON Schemas, secrets and references of a document, each with its path. */
export function marksOf(doc: Document): MarkedValue[] {
  return markedValues(typeOf.get(doc.kind)!, doc);
}

/** The same of what may be no valid document, as far as its parts fit. */
export function marksWithin(input: unknown): MarkedValue[] {
  const { kind } = (input ?? {}) as { kind?: unknown };
  const type = typeof kind === 'string' ? typeOf.get(kind) : undefined;
  return type === undefined ? [] : markedValues(type, input);
}

/** The name of another document of the tenant. */
export interface Reference {
  /** The kinds that the document may be of. */
  readonly kinds: readonly DocumentKind[];
  readonly name: string;
  readonly path: string[];
}

/** The names of other documents of the tenant that this one names. */
export function referencesOf(doc: Document): Reference[] {
  return referencesAmong(marksOf(doc));
}

/** The same of what may be no valid document, as far as its parts fit. */
export function referencesWithin(input: unknown): Reference[] {
  return referencesAmong(marksWithin(input));
}

function referencesAmong(marks: readonly MarkedValue[]): Reference[] {
  return marks.flatMap(({ mark, value, path }) =>
    mark.kind === 'reference' && typeof value === 'string' ? [{ kinds: [mark.to].flat() as DocumentKind[], name: value, path }] : [],
  );
}

/** The secrets of a document that come from the secret store, each with its path. */
export function storedSecretsOf(doc: Document): { secret: Secret & { from: StoredSecretReference }; path: string[] }[] {
  return marksOf(doc).flatMap(({ mark, value, path }) => {
    const found = value as Secret;
    return mark.kind === 'secret' && found.from !== undefined ? [{ secret: { ...found, from: found.from }, path }] : [];
  });
}

/** A copy of the document with each of its secrets changed. */
export function mapSecrets<D extends Document>(doc: D, change: (secret: Secret, path: string[]) => Secret): D {
  return mapMarked(typeOf.get(doc.kind)!, doc, ({ mark, value, path }) => (mark.kind === 'secret' ? change(value as Secret, path) : value));
}
