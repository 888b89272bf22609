import { Ajv, Name, _ } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { CodeKeywordDefinition, ErrorObject, FuncKeywordDefinition, KeywordCxt, ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { RE2JS } from 're2js';
import { asDoubles } from '#libs/json';
import { SchemaRefused, requireAffordable, withCosts } from './json-schema.js';

// The processes that check values load this, too (schema.program.ts), so it imports nothing that takes long to load.

/** A compiled schema that checks values in the thread of the caller. */
export interface SchemaCheck {
  /**
   * Returns the problems of a value, one line each; none if it fits. At most ten. A lossless number counts as the nearest double. Lines quote the
   * schema, never the value.
   */
  problemsOf(value: unknown): string[];
  /** The same in at most so many steps; undefined if they do not suffice. */
  problemsWithin(steps: number, value: unknown): string[] | undefined;
}

const problemLimit = 10;
/** The longest line of a problem, in characters: a schema's lists can be long. */
const lineLimit = 500;

/**
 * Steps that the check of a value may take; about 100 ms. A step is a schema that is applied, an item of its lists, a part of a text, and at each
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
 * @throws SchemaRefused if the schema is invalid, or too expensive to check values with
 */
export function compileCheck(schema: object): SchemaCheck {
  requireAffordable(schema);
  const validate = validatorOf(schema);
  return {
    problemsOf: (value) => {
      const found = problemsWithin(stepLimit, validate, value);
      if (Array.isArray(found)) return found;
      const first = found.found.slice(0, 1).map((problem) => `; the first problem found: ${describe(problem)}`);
      return [`the value takes more than ${stepLimit} steps to check with this schema${first.join('')}`];
    },
    problemsWithin: (steps, value) => {
      const found = problemsWithin(steps, validate, value);
      return Array.isArray(found) ? found : undefined;
    },
  };
}

function problemsWithin(steps: number, validate: ValidateFunction, value: unknown): string[] | CheckTooExpensive {
  budget.left = steps;
  try {
    return validate(asDoubles(value)) ? [] : (validate.errors ?? []).slice(0, problemLimit).map(describe);
  } catch (error) {
    if (error instanceof RangeError) return ['the value is nested too deep to be checked with this schema'];
    if (error instanceof CheckTooExpensive) return error;
    throw error;
  }
}

function validatorOf(given: object): ValidateFunction {
  budget.left = Infinity; // Ajv checks the schema itself
  try {
    const schema = asDoubles(given) as object;
    const draft = draftOf(schema);
    if (draft.meta.validateSchema(schema) !== true) throw new Error(mistakeIn(draft.meta.errors ?? []));
    // Each schema has its own Ajv instance: two versions of a document repeat their `$id`s, which one instance refuses.
    return ajvFor(draft.Validator)
      .addKeyword(cost)
      .compile(withCosts(schema, costKeyword) as object);
  } catch (error) {
    const reason = error instanceof RangeError ? 'is nested too deep' : (error as Error).message;
    throw new SchemaRefused(reason, { cause: error });
  }
}

/** Keywords of the schemas of drafts that only repeat what the problems within them say. */
const combining = new Set(['anyOf', 'allOf', '$ref', '$dynamicRef', 'if']);

/** Describes the first place of a schema that does not fit its draft, such as `properties.total.type must be one of […]`. */
function mistakeIn(problems: readonly ErrorObject[]): string {
  const told = problems.filter(({ keyword }) => !combining.has(keyword));
  const place = (told[0] ?? problems[0])?.instancePath ?? '';
  const reasons = told.filter(({ instancePath }) => instancePath === place).map(reasonOf);
  const path = place
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return [path.length === 0 ? 'it' : path.join('.'), [...new Set(reasons)].join(', or ')].join(' ');
}

/** A draft of JSON Schema. */
class Draft {
  private checksSchemas: Ajv | undefined;

  constructor(
    readonly id: string,
    readonly Validator: typeof Ajv | typeof Ajv2020,
  ) {}

  /** Checks schemas with the schema of the draft, which takes ten milliseconds to compile. */
  get meta(): Ajv {
    return (this.checksSchemas ??= ajvFor(this.Validator));
  }
}

const draft202012 = new Draft('https://json-schema.org/draft/2020-12/schema', Ajv2020);
const drafts = [draft202012, new Draft('http://json-schema.org/draft-07/schema', Ajv)];

function draftOf(schema: { $schema?: unknown }): Draft {
  const { $schema: named = draft202012.id } = schema;
  const draft = drafts.find(({ id }) => named === id || named === `${id}#`);
  if (draft === undefined) throw new Error(`$schema must be one of ${drafts.map(({ id }) => id).join(', ')}`);
  return draft;
}

function ajvFor(Validator: typeof Ajv | typeof Ajv2020): Ajv {
  const ajv = new Validator({
    strict: false,
    allErrors: true,
    inlineRefs: false,
    logger: false,
    validateSchema: false, // with a schema compiled for it anew
    code: { regExp: linearPatterns },
  });
  ajv.removeKeyword(uniqueItems.keyword).addKeyword(uniqueItems);
  ajvFormats.default(ajv);
  boundFormats(ajv);
  return ajv;
}

function describe(error: ErrorObject): string {
  const line = lineOf(error);
  return line.length > lineLimit ? `${line.slice(0, lineLimit)}…` : line;
}

function lineOf(error: ErrorObject): string {
  return `${error.instancePath === '' ? 'the value' : error.instancePath} ${reasonOf(error)}`;
}

function reasonOf({ message, keyword, params }: ErrorObject): string {
  if (keyword === 'enum') return `must be one of ${JSON.stringify(params['allowedValues'])}`;
  if (keyword === 'const') return `must be ${JSON.stringify(params['allowedValue'])}`;
  if (keyword === 'additionalProperties') return 'must have no other properties than the schema names';
  return message ?? `fails ${keyword}`;
}
