import { hash } from 'node:crypto';
import { DomainError, EvaluationsBusy } from '#libs/contracts';
import { EvaluationProcesses } from '#libs/evaluation';
import { LruMap } from '#libs/lru';
import { SchemaRefused, requireAffordable } from './json-schema.js';
import { compileCheck } from './schema-check.js';
import type { SchemaCheck } from './schema-check.js';

/** The object is not a JSON Schema, or one that is too expensive to check values with. */
export class SchemaInvalid extends DomainError {
  readonly code = 'document.invalid';
}

export interface SchemaOptions {
  /** The tenant that the schema belongs to. Of one owner, one check runs outside of this process at a time. Default: all that name none are one owner. */
  readonly owner?: string;
}

/** A compiled schema that checks values. */
export interface CompiledSchema {
  readonly schema: Readonly<Record<string, unknown>>;
  /**
   * Returns the problems of a value, one line each; none if it fits. At most ten. A lossless number counts as the nearest double. Lines quote the
   * schema, never the value. Without a promise if the check takes a few milliseconds at most; otherwise a process that can be killed makes it.
   * @throws EvaluationsBusy by rejection only
   */
  problemsOf(value: unknown): string[] | Promise<string[]>;
}

/** Steps that a check may take in the thread that serves everybody; about 10 ms. */
const stepsHere = 400_000;
/** The size of schemas that are compiled in that thread when nobody needs the result but to know whether it can be done. Larger ones take more than a few milliseconds. */
const sizeHere = 20;
/** Compiling the dearest schema takes half a second, checking a value with it a tenth. */
const limits = { timeoutMs: 2_000 };

/**
 * JSON Schema: draft 2020-12, or draft-07 where `$schema` says so.
 * @throws SchemaInvalid
 */
export function compileSchema(schema: object, { owner = '' }: SchemaOptions = {}): CompiledSchema {
  const check = checkOf(schema);
  const problemsElsewhere = async (value: unknown): Promise<string[]> => {
    const result = await processes.evaluate(owner, { text: JSON.stringify(schema), limits }, [value]);
    return 'failure' in result ? [`the check with this schema was ended: ${result.failure.reason}`] : (result.value as string[]);
  };
  return {
    schema: schema as Record<string, unknown>,
    problemsOf: (value) => check.problemsWithin(stepsHere, value) ?? problemsElsewhere(value),
  };
}

/**
 * Finds out whether a schema can be compiled, a large one in a process of its own.
 * @throws SchemaInvalid, EvaluationsBusy by rejection only
 */
export async function requireCompilable(schema: object, { owner = '' }: SchemaOptions = {}): Promise<void> {
  const text = JSON.stringify(schema);
  const digest = hash('sha256', text);
  if (compilable.get(digest)) return;
  if (invalidIfRefused(() => requireAffordable(schema)) <= sizeHere) checkOf(schema);
  else {
    const result = await processes.evaluate(owner, { text, limits }, []);
    if ('failure' in result) throw new SchemaInvalid(result.failure.reason);
  }
  compilable.set(digest, true);
}

/** Digests of schemas that can be compiled: whoever applies documents applies most of them again unchanged. */
const compilable = new LruMap<string, true>(10_000);

function checkOf(schema: object): SchemaCheck {
  return invalidIfRefused(() => compileCheck(schema));
}

/** @throws SchemaInvalid */
function invalidIfRefused<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SchemaRefused) throw new SchemaInvalid(error.message, { cause: error });
    throw error;
  }
}

const processes = new EvaluationProcesses({
  program: new URL('./schema.program.js', import.meta.url),
  refusal: (waiting) => new EvaluationsBusy(waiting),
  burstMs: 10_000, // whoever applies documents with large schemas does so once
});
