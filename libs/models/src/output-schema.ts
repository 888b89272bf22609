import { hash } from 'node:crypto';
import { Ajv, Name, _ } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { CodeKeywordDefinition, ErrorObject, FuncKeywordDefinition, KeywordCxt, ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { RE2JS } from 're2js';
import { asDoubles } from '#libs/json';
import { LruMap } from '#libs/lru';
import { SchemaInvalid, requireAffordable, withCosts } from './json-schema.js';
import { fitsStrictSubset } from './strict-subset.js';

/** A compiled schema that checks outputs. */
export interface OutputSchema {
  readonly schema: Record<string, unknown>;
  /** True if a provider can enforce it; see {@link fitsStrictSubset}. */
  readonly strict: boolean;
  /** Returns the problems of a value, one line each; none if it fits. At most ten. A lossless number counts as the nearest double. Lines quote the schema, never the value. */
  problemsOf(value: unknown): string[];
}

const problemLimit = 10;
/** The longest line of a problem, in characters: a schema's lists can be long. */
const lineLimit = 500;

/**
 * Steps that one check of a value may take; about 100 ms. A step is a schema that is applied, an item of its lists, a part of a text, and at each
 * schema every problem found so far, because collecting problems takes time quadratic in their number.
 */
const stepLimit = 4_000_000;
/** RE2 takes up to 430 ns for a character; a step takes about 20. */
const stepsPerPatternCharacter = 8;
/** The longest text that can have a format. Some of ajv-formats' expressions take time quadratic in the text. */
const formattedLengthLimit = 2_048;

/** Checking a value takes more steps than {@link stepLimit}. */
class CheckTooExpensive extends Error {
  /** @param found the problems that were found until then; an alternative of the schema may have none of them */
  constructor(readonly found: readonly ErrorObject[]) {
    super('The check of a value takes too many steps');
  }
}

/** Ends a check that takes too long. One check runs at a time, because checking is synchronous. */
const budget = {
  left: 0,
  spend(steps: number, found: readonly ErrorObject[] | null = null): void {
    this.left -= steps;
    if (this.left < 0) throw new CheckTooExpensive(found ?? []);
  },
};

/** Stands in each schema that is compiled, with the steps that applying it takes. No tenant's schema can have it: unknown keywords are left out. */
const costKeyword = 'millrace:steps';
const [errors, vErrors] = [new Name('errors'), new Name('vErrors')]; // variables of the functions that Ajv generates

const cost = {
  keyword: costKeyword,
  before: '$ref',
  code: (context: KeywordCxt) => {
    const spend = context.gen.scopeValue('func', { ref: budget.spend.bind(budget), key: costKeyword });
    context.gen.code(_`${spend}(${context.schema as number} + ${errors}, ${vErrors})`);
  },
} as const satisfies CodeKeywordDefinition;

/**
 * Patterns come from tenants, and texts from models and partners: one such pair could block JavaScript's backtracking engine for minutes. RE2 takes time
 * linear in the text. It has no lookarounds and backreferences; a schema with them is refused when it is compiled.
 */
const linearPatterns = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
    return {
      test: (text: string) => {
        budget.spend(text.length * stepsPerPatternCharacter);
        return compiled.matcher(text).find();
      },
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
  const identity = JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)));
  });
  budget.spend(1 + Math.ceil(identity.length / 16));
  return identity;
}

/** Formats that say how the bytes of a text are read, so that it can have any length. */
const unboundedFormats = new Set(['byte', 'binary', 'password']);

/** Bounds the checks of the formats: see {@link formattedLengthLimit}. */
function boundFormats(ajv: Ajv): void {
  for (const [name, format] of Object.entries(ajv.formats)) {
    if (unboundedFormats.has(name)) continue;
    const check = format instanceof RegExp ? format : typeof format === 'object' && 'validate' in format ? format.validate : format;
    if (typeof check === 'object' && check instanceof RegExp) boundFormat(ajv, name, (text) => check.test(text));
    else if (typeof check === 'function' && (format as { type?: string }).type !== 'number') {
      boundFormat(ajv, name, check as (text: string) => boolean);
    }
  }
}

function boundFormat(ajv: Ajv, name: string, check: (text: string) => boolean): void {
  ajv.addFormat(name, (text: string) => {
    if (text.length > formattedLengthLimit) return false;
    budget.spend(Math.ceil(text.length ** 2 / 16));
    return check(text);
  });
}

/**
 * JSON Schema: draft 2020-12, or draft-07 where `$schema` says so, as many generators still do.
 * @throws SchemaInvalid if the schema is invalid, or too expensive to check values with
 */
export function compileSchema(schema: object): OutputSchema {
  requireAffordable(schema);
  const validate = validatorOf(schema);
  return {
    schema: schema as Record<string, unknown>,
    strict: fitsStrictSubset(schema),
    problemsOf: (value) => problemsWith(validate, asDoubles(value)),
  };
}

function problemsWith(validate: ValidateFunction, value: unknown): string[] {
  budget.left = stepLimit;
  try {
    return validate(value) ? [] : (validate.errors ?? []).slice(0, problemLimit).map(describe);
  } catch (error) {
    if (error instanceof RangeError) return ['the answer is nested too deep to be checked with this schema'];
    if (!(error instanceof CheckTooExpensive)) throw error;
    const first = error.found.slice(0, 1).map((found) => `; the first problem found: ${describe(found)}`);
    return [`the answer takes more than ${stepLimit} steps to check with this schema${first.join('')}`];
  }
}

function validatorOf(schema: object): ValidateFunction {
  // Each schema has its own Ajv instance: two versions of a document repeat their `$id`s, which one instance refuses.
  const ajv = new (isDraft07(schema) ? Ajv : Ajv2020)({
    strict: false,
    allErrors: true,
    inlineRefs: false,
    logger: false,
    code: { regExp: linearPatterns },
  });
  ajv.removeKeyword(uniqueItems.keyword).addKeyword(uniqueItems).addKeyword(cost);
  ajvFormats.default(ajv);
  boundFormats(ajv);
  budget.left = Infinity; // Ajv checks the schema itself
  try {
    return ajv.compile(withCosts(schema, costKeyword) as object);
  } catch (error) {
    const reason = error instanceof RangeError ? 'is nested too deep' : (error as Error).message;
    throw new SchemaInvalid(reason, error);
  }
}

function isDraft07(schema: object): boolean {
  return '$schema' in schema && typeof schema.$schema === 'string' && schema.$schema.includes('draft-07');
}

function describe(error: ErrorObject): string {
  const line = lineOf(error);
  return line.length > lineLimit ? `${line.slice(0, lineLimit)}…` : line;
}

function lineOf({ instancePath, message, keyword, params }: ErrorObject): string {
  const path = instancePath === '' ? 'the answer' : instancePath;
  if (keyword === 'enum') return `${path} must be one of ${JSON.stringify(params['allowedValues'])}`;
  if (keyword === 'const') return `${path} must be ${JSON.stringify(params['allowedValue'])}`;
  if (keyword === 'additionalProperties') return `${path} must have no other properties than the schema names`;
  return `${path} ${message ?? `fails ${keyword}`}`;
}

/** Compiles each schema once: compiling takes milliseconds, checking takes microseconds. Evicts the least recently used one. */
export class CompiledSchemas {
  private readonly byIdentity = new WeakMap<object, OutputSchema>();
  private readonly byDigest: LruMap<string, OutputSchema>;

  constructor(limit = 1_000) {
    this.byDigest = new LruMap(limit);
  }

  of(schema: object): OutputSchema {
    const known = this.byIdentity.get(schema);
    if (known !== undefined) return known;
    const compiled = this.byDigest.getOrMake(hash('sha256', JSON.stringify(schema)), () => compileSchema(schema));
    this.byIdentity.set(schema, compiled);
    return compiled;
  }
}
