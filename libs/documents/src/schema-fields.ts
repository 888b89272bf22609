import type { z } from 'zod';

type Def = z.core.$ZodTypes['_zod']['def'];

/**
 * The names of the fields that a schema has at a place of a value and that are not given there. Of a union they are those of the options whose constants
 * the value has, such as the spec of its own kind.
 */
export function fieldsAt(schema: z.core.$ZodType, value: unknown, [field, ...path]: readonly string[]): string[] {
  const shapes = objectsOf(schema, value);
  if (field !== undefined) {
    const inner = isObject(value) || Array.isArray(value) ? (value as Record<string, unknown>)[field] : undefined;
    return [...new Set(shapes.flatMap((def) => innerOf(def, field)).flatMap((one) => fieldsAt(one, inner, path)))];
  }
  const given = isObject(value) ? value : {};
  return shapes.flatMap((def) => (def.type === 'object' ? Object.keys(def.shape) : [])).filter((name) => !Object.hasOwn(given, name));
}

function innerOf(def: Def, field: string): z.core.$ZodType[] {
  if (def.type === 'array') return [def.element];
  if (def.type === 'record') return [def.valueType];
  return def.type === 'object' && Object.hasOwn(def.shape, field) ? [def.shape[field]!] : [];
}

/** The schemas of objects, lists and maps that a value may be of. */
function objectsOf(schema: z.core.$ZodType, value: unknown): Def[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'union') return def.options.filter((one) => hasConstants(one, value)).flatMap((one) => objectsOf(one, value));
  if (def.type === 'lazy') return objectsOf(def.getter(), value);
  if (def.type === 'pipe') return [...objectsOf(def.in, value), ...objectsOf(def.out, value)];
  return 'innerType' in def ? objectsOf(def.innerType, value) : [def];
}

/** False if the value has another text than a field of the schema demands. */
function hasConstants(schema: z.core.$ZodType, value: unknown): boolean {
  if (!isObject(value)) return true;
  return objectsOf(schema, value).every(
    (def) => def.type !== 'object' || Object.entries(def.shape).every(([name, field]) => isOneOf(field, value[name])),
  );
}

function isOneOf(schema: z.core.$ZodType, given: unknown): boolean {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  return def.type !== 'literal' || def.values.some((value) => value === given);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
