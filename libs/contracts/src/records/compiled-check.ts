import type { z } from 'zod';

/** True for a value that the schema takes as it is. False says nothing. */
export type Fits = (value: unknown) => boolean;

type Def = z.core.$ZodTypeDef & Record<string, unknown>;
type CheckDef = z.core.$ZodCheckDef & Record<string, unknown>;

/**
 * Compiles a schema of records to a function that only says whether a value fits, without the copy, the context and the issues that zod makes for
 * each value. An object with a member that the schema does not name does not fit, because zod would leave the member out. Undefined for a schema with
 * a part that is not known here.
 */
export function compiledCheck(schema: z.core.$ZodType): Fits | undefined {
  const def = schema._zod.def as Def;
  const base = baseOf(def);
  const checks = checksOf(def);
  if (base === undefined || checks.includes(undefined)) return undefined;
  const [first, ...others] = checks as Fits[];
  if (first === undefined) return base;
  if (others.length === 0) return (value) => base(value) && first(value);
  return (value) => base(value) && checks.every((check) => check!(value));
}

function baseOf(def: Def): Fits | undefined {
  switch (def.type) {
    case 'unknown':
      return () => true;
    case 'string':
      return (value) => typeof value === 'string';
    case 'boolean':
      return (value) => typeof value === 'boolean';
    case 'number':
      return (value) => typeof value === 'number' && Number.isFinite(value);
    case 'enum': {
      const values = new Set<unknown>(Object.values(def['entries'] as object));
      return (value) => values.has(value);
    }
    case 'nullable': {
      const inner = innerOf(def, 'innerType');
      return inner && ((value) => value === null || inner(value));
    }
    case 'optional': {
      const inner = innerOf(def, 'innerType');
      return inner && ((value) => value === undefined || inner(value));
    }
    case 'array': {
      const element = innerOf(def, 'element');
      return element && ((value) => Array.isArray(value) && value.every(element));
    }
    case 'object':
      return def['catchall'] === undefined ? objectOf(def['shape'] as Record<string, z.core.$ZodType>) : undefined;
    default:
      return undefined;
  }
}

function innerOf(def: Def, name: string): Fits | undefined {
  return compiledCheck(def[name] as z.core.$ZodType);
}

function objectOf(shape: Record<string, z.core.$ZodType>): Fits | undefined {
  const names = Object.keys(shape);
  const members = names.map((name) => compiledCheck(shape[name]!));
  if (members.includes(undefined)) return undefined;
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    let known = 0;
    for (let at = 0; at < names.length; at += 1) {
      const member = (value as Record<string, unknown>)[names[at]!];
      if (!members[at]!(member)) return false;
      if (member !== undefined) known += 1;
    }
    return Object.keys(value).length === known;
  };
}

/** The checks of a schema: its own format and those that were added to it. */
function checksOf(def: Def): (Fits | undefined)[] {
  const added = (def.checks ?? []).map(({ _zod }) => checkOf(_zod.def as CheckDef));
  return 'check' in def ? [checkOf(def as unknown as CheckDef), ...added] : added;
}

function checkOf(def: CheckDef): Fits | undefined {
  const { value: bound, inclusive } = def as { value?: unknown; inclusive?: unknown };
  switch (def.check) {
    case 'string_format':
      return formatOf(def);
    case 'min_length':
      return (value) => (value as string).length >= (def['minimum'] as number);
    case 'max_length':
      return (value) => (value as string).length <= (def['maximum'] as number);
    case 'number_format':
      return def['format'] === 'safeint' ? Number.isSafeInteger : undefined;
    case 'greater_than':
      return (value) => (value as number) > (bound as number) || (inclusive === true && value === bound);
    case 'less_than':
      return (value) => (value as number) < (bound as number) || (inclusive === true && value === bound);
    case 'custom':
      return def['fn'] as Fits;
    default:
      return undefined;
  }
}

/** A format that is a regular expression, or a beginning. */
function formatOf(def: CheckDef): Fits | undefined {
  if (def['format'] === 'starts_with') return (value) => (value as string).startsWith(def['prefix'] as string);
  const pattern = def['pattern'];
  if (!(pattern instanceof RegExp) || pattern.global || pattern.sticky) return undefined;
  return def['format'] === 'regex' || def['format'] === 'datetime' ? (value) => pattern.test(value as string) : undefined;
}
