import { z } from 'zod';

/**
 * The meaning of a value in a document beyond its shape. The mark stands in the schema of the value, so everything that must find such values
 * (checks at apply, sealing of secrets, references between documents, forms) derives from the schema. In `docs/documents.schema.json` it is the
 * annotation `x-millrace`.
 */
export type Mark =
  /** A JSONata expression. */
  | { readonly kind: 'expression' }
  /** A JSON Schema, draft 2020-12. */
  | { readonly kind: 'jsonSchema' }
  /** The name of a model at its provider. */
  | { readonly kind: 'model' }
  /** A secret, in the clear or sealed. */
  | { readonly kind: 'secret' }
  /** The name of a document of this kind in the same tenant, or of one of these kinds. */
  | { readonly kind: 'reference'; readonly to: string | readonly string[] };

/** The schema with the mark. Schemas derived from it (`optional`, `describe`, `refine`) keep it. */
export function marked<T extends z.ZodType>(mark: Mark, schema: T): T {
  return schema.meta({ 'x-millrace': mark });
}

function markOf(schema: z.core.$ZodType): Mark | undefined {
  return z.globalRegistry.get(schema)?.['x-millrace'] as Mark | undefined;
}

/** A marked value of a document. */
export interface MarkedValue {
  readonly mark: Mark;
  readonly value: unknown;
  readonly path: string[];
}

/** The marked values of a document, in the order of its schema. Parts that do not fit the schema are left out, or come as they are. */
export function markedValues(schema: z.core.$ZodType, document: unknown): MarkedValue[] {
  const found: MarkedValue[] = [];
  mapMarked(schema, document, (each) => {
    found.push(each);
    return each.value;
  });
  return found;
}

/** A copy of a document with each marked value replaced by what `change` returns. Parts without a change are shared with the original. */
export function mapMarked<T>(schema: z.core.$ZodType, document: T, change: (marked: MarkedValue) => unknown): T {
  return mapped(schema, document, [], change) as T;
}

function mapped(schema: z.core.$ZodType, value: unknown, path: string[], change: (marked: MarkedValue) => unknown): unknown {
  if (value === undefined || value === null) return value;
  const mark = markOf(schema);
  if (mark !== undefined) return change({ mark, value, path });
  const inner = wrappedBy(schema);
  if (inner !== undefined) return mapped(inner, value, path, change);
  if (schema instanceof z.ZodArray) {
    if (!Array.isArray(value)) return value;
    return changedArray(value, (item, at) => mapped(schema.element, item, [...path, String(at)], change));
  }
  if ((schema instanceof z.ZodObject || schema instanceof z.ZodRecord) && (typeof value !== 'object' || Array.isArray(value))) return value;
  if (schema instanceof z.ZodObject) {
    const shape: Record<string, z.core.$ZodType> = schema.shape;
    return changedObject(value as Record<string, unknown>, (item, key) =>
      shape[key] === undefined ? item : mapped(shape[key], item, [...path, key], change),
    );
  }
  if (schema instanceof z.ZodRecord) {
    const { valueType } = schema;
    return changedObject(value as Record<string, unknown>, (item, key) => mapped(valueType, item, [...path, key], change));
  }
  if (schema instanceof z.ZodUnion) {
    const option = schema.options.find((each) => z.safeParse(each, value).success);
    return option === undefined ? value : mapped(option, value, path, change);
  }
  return value;
}

function changedArray(values: unknown[], change: (value: unknown, at: number) => unknown): unknown[] {
  const changed = values.map(change);
  return changed.every((value, at) => value === values[at]) ? values : changed;
}

function changedObject(object: Record<string, unknown>, change: (value: unknown, key: string) => unknown): Record<string, unknown> {
  const entries = Object.entries(object).map(([key, value]) => [key, change(value, key)] as const);
  return entries.every(([key, value]) => value === object[key]) ? object : Object.fromEntries(entries);
}

/** The schema within one that only says whether, or in which form, the value is given. */
function wrappedBy(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodLazy) return schema.unwrap();
  const { def } = schema._zod as { def: { innerType?: z.core.$ZodType } };
  if (def.innerType !== undefined) return def.innerType;
  if (!(schema instanceof z.ZodPipe)) return undefined;
  return schema.in instanceof z.ZodTransform ? schema.out : schema.in; // `preprocess` puts its function first
}

/**
 * Refuses a schema with a mark that `mapMarked` would not find, such as one within a tuple. Called once, when the contracts are loaded.
 * @throws Error that names the path of the schema
 */
export function requireReachableMarks(schema: z.core.$ZodType, path: readonly string[] = [], seen: Set<z.core.$ZodType> = new Set()): void {
  if (markOf(schema) !== undefined || seen.has(schema)) return;
  seen.add(schema); // a schema may contain itself
  const inner = wrappedBy(schema);
  if (inner !== undefined) return requireReachableMarks(inner, path, seen);
  if (schema instanceof z.ZodObject) {
    for (const [key, field] of Object.entries<z.core.$ZodType>(schema.shape)) requireReachableMarks(field, [...path, key], seen);
  } else if (schema instanceof z.ZodArray) requireReachableMarks(schema.element, [...path, '*'], seen);
  else if (schema instanceof z.ZodRecord) requireReachableMarks(schema.valueType, [...path, '*'], seen);
  else if (schema instanceof z.ZodUnion) for (const option of schema.options) requireReachableMarks(option, path, seen);
  else if (JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })).includes('"x-millrace"')) {
    throw new Error(`A mark below ${path.join('.')} stands in a schema of type ${schema._zod.def.type}, where nothing looks for it`);
  }
}
