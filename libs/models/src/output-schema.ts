import { hash } from 'node:crypto';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject, FuncKeywordDefinition } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { asDoubles } from '#libs/contracts';
import { RE2JS } from 're2js';
import { fitsStrictSubset } from './strict-subset.js';

/** A compiled schema that checks outputs. */
export interface OutputSchema {
  readonly schema: Record<string, unknown>;
  /** True if a provider can enforce it; see {@link fitsStrictSubset}. */
  readonly strict: boolean;
  /** Returns the problems of a value, one line each; none if it fits. A lossless number counts as the nearest double. Lines quote the schema, never the value. */
  problemsOf(value: unknown): string[];
}

const problemLimit = 10;

/**
 * Patterns come from tenants, and texts from models and partners: one such pair could block JavaScript's backtracking engine for minutes. RE2 takes time
 * linear in the text. It has no lookarounds and backreferences; a schema with them is refused when it is compiled.
 */
const linearPatterns = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
    return {
      test: (text: string) => compiled.matcher(text).find(),
      toString: () => pattern, // Ajv uses it as the key of its cache
    };
  },
  { code: 'linearPatterns' },
);

/** Replaces Ajv's keyword, which compares each pair of items and so could block the process for seconds. This one takes linear time. */
const uniqueItems = {
  keyword: 'uniqueItems',
  type: 'array',
  schemaType: 'boolean',
  validate: (wanted: boolean, items: unknown[]) => !wanted || new Set(items.map(identityOf)).size === items.length,
  error: { message: 'must NOT have duplicate items' },
} as const satisfies FuncKeywordDefinition;

/** Returns the same text for equal JSON, whatever the order of its keys. */
function identityOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  });
}

/**
 * JSON Schema: draft 2020-12, or draft-07 where `$schema` says so, as many generators still do.
 * @throws Error if the schema is invalid
 */
export function compileSchema(schema: object): OutputSchema {
  // Each schema has its own Ajv instance: two versions of a document repeat their `$id`s, which one instance refuses.
  const ajv = new (isDraft07(schema) ? Ajv : Ajv2020)({
    strict: false,
    allErrors: true,
    logger: false,
    code: { regExp: linearPatterns },
  });
  ajv.removeKeyword(uniqueItems.keyword).addKeyword(uniqueItems);
  ajvFormats.default(ajv);
  const validate = ajv.compile(schema);
  return {
    schema: schema as Record<string, unknown>,
    strict: fitsStrictSubset(schema),
    problemsOf: (value) => (validate(asDoubles(value)) ? [] : (validate.errors ?? []).slice(0, problemLimit).map(describe)),
  };
}

function isDraft07(schema: object): boolean {
  return '$schema' in schema && typeof schema.$schema === 'string' && schema.$schema.includes('draft-07');
}

function describe({ instancePath, message, keyword, params }: ErrorObject): string {
  const path = instancePath === '' ? 'the answer' : instancePath;
  if (keyword === 'enum') return `${path} must be one of ${JSON.stringify(params['allowedValues'])}`;
  if (keyword === 'const') return `${path} must be ${JSON.stringify(params['allowedValue'])}`;
  if (keyword === 'additionalProperties') return `${path} must have no other properties than the schema names`;
  return `${path} ${message ?? `fails ${keyword}`}`;
}

/** Compiles each schema once: compiling takes milliseconds, checking takes microseconds. Evicts the least recently used one. */
export class CompiledSchemas {
  private readonly byIdentity = new WeakMap<object, OutputSchema>();
  private readonly byDigest = new Map<string, OutputSchema>();

  constructor(private readonly limit = 1_000) {}

  of(schema: object): OutputSchema {
    const known = this.byIdentity.get(schema);
    if (known !== undefined) return known;
    const digest = hash('sha256', JSON.stringify(schema));
    const compiled = this.byDigest.get(digest) ?? compileSchema(schema);
    this.byDigest.delete(digest);
    this.byDigest.set(digest, compiled);
    this.byIdentity.set(schema, compiled);
    if (this.byDigest.size > this.limit) this.byDigest.delete(this.byDigest.keys().next().value!);
    return compiled;
  }
}
