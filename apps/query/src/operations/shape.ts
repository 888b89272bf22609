import { z } from 'zod';
import type { Count, Page } from '../paging/paging.js';

/**
 * The vocabulary in which operations declare their inputs and outputs: zod schemas, with a note beside those whose meaning a door needs. A door
 * derives its own types from it: GraphQL its SDL, REST and MCP their JSON Schemas.
 */
export type Shape =
  | { readonly kind: 'id' }
  | { readonly kind: 'json' }
  | { readonly kind: 'count' }
  | {
      readonly kind: 'enumeration';
      readonly name: string;
      readonly about: string;
      readonly values: Readonly<Record<string, string>>;
    }
  /** A type of its own with fields; `idPrefix` where it can be found by its id alone. */
  | { readonly kind: 'entity'; readonly name: string; readonly about: string; readonly idPrefix?: string }
  | { readonly kind: 'input'; readonly name: string; readonly about: string; readonly exactlyOne: boolean }
  | { readonly kind: 'page'; readonly of: z.ZodObject }
  | { readonly kind: 'node' };

type Schema = z.core.$ZodType;

/** Notes beside schemas; a schema that was derived from one (`describe`, `refine`) keeps its note. zod's own registries rewrite the types of such notes. */
class Notes<Note> {
  private readonly notes = new WeakMap<Schema, Note>();

  on<T extends Schema>(schema: T, note: Note): T {
    this.notes.set(schema, note);
    return schema;
  }

  of(schema: Schema): Note | undefined {
    for (let each: Schema | undefined = schema; each !== undefined; each = each._zod.parent) {
      const note = this.notes.get(each);
      if (note !== undefined) return note;
    }
    return undefined;
  }
}

const shapes = new Notes<Shape>();

/** The note beside a schema; undefined for plain text, numbers, lists. */
export function shapeOf(schema: Schema): Shape | undefined {
  return shapes.of(schema);
}

/** The price of a field: `weight`, plus the price of what is selected of it once per row. Default 1 and 1. */
export interface Cost {
  readonly weight?: number;
  /** How many rows to expect if no argument says it. */
  readonly rows?: number;
}

const costs = new Notes<Cost>();

/** The schema with a price, for a field that is dearer than 1. */
export function priced<T extends z.ZodType>(cost: Cost, schema: T): T {
  return costs.on(schema.clone(), cost);
}

export function costOf(schema: Schema): Cost | undefined {
  return costs.of(schema);
}

/** An id or another opaque name. */
export const id = shapes.on(z.string(), { kind: 'id' });
/** A point in time. Doors write it as RFC 3339 in UTC. */
export const timestamp = z.date();
/** Any JSON value; null included. */
export const json = shapes.on(z.unknown(), { kind: 'json' });
/** How many rows a filter finds. */
export const count = shapes.on(z.object({ value: z.int(), exact: z.boolean() }) satisfies z.ZodType<Count>, { kind: 'count' });

/**
 * A closed list of values.
 * @param values each value as code, records and tables write it, with its description
 */
export function enumeration<const Values extends Readonly<Record<string, string>>>(name: string, values: Values, about: string) {
  const names = Object.keys(values) as (keyof Values & string)[];
  return shapes.on(z.enum(names), { kind: 'enumeration', name, about, values });
}

/** The values of a list that contracts declare, in its order. A value without a description does not compile. */
export function valuesOf<const Values extends readonly string[]>(
  values: Values,
  about: Readonly<Record<Values[number], string>>,
): Record<Values[number], string> {
  return Object.fromEntries(values.map((value: Values[number]) => [value, about[value]])) as Record<Values[number], string>;
}

/** A type that outputs are made of. Its fields are read off the row as they are; the others are declared by `fieldsOf`. */
export function entity<Fields extends z.ZodRawShape>(
  name: string,
  fields: Fields,
  { about, idPrefix }: { about: string; idPrefix?: string },
) {
  const shape: Shape = { kind: 'entity', name, about, ...(idPrefix === undefined ? {} : { idPrefix }) };
  return shapes.on(z.object(fields), shape);
}

/** An object within an input. */
export function inputObject<Fields extends z.ZodRawShape>(name: string, fields: Fields, about: string) {
  return shapes.on(z.strictObject(fields), { kind: 'input', name, about, exactlyOne: false });
}

/** An object within an input of which exactly one field is given. Every field is optional. */
export function oneOf<Fields extends Record<string, z.ZodOptional>>(name: string, fields: Fields, about: string) {
  const object = z
    .strictObject(fields)
    .refine((given) => Object.values(given).filter((value) => value !== undefined).length === 1, { error: 'must have exactly one field' });
  return shapes.on(object, { kind: 'input', name, about, exactlyOne: true });
}

/** A page of rows of this type, as `Paging` reads it. */
export function pageOf<Entity extends z.ZodObject>(entityType: Entity) {
  return shapes.on(z.custom<Page<z.infer<Entity>>>(), { kind: 'page', of: entityType });
}

/** Any entity that can be found by its id alone. */
export const node = shapes.on(z.object({ id }), { kind: 'node' });

/** The arguments of every list; `Paging` checks them. Forward with `first` and `after`, backward with `last` and `before`. */
export const pageArguments = {
  first: z.int().nullish().describe('At most so many rows, from the start of the list or after `after`.'),
  after: z.string().nullish().describe('A cursor: the page begins with the row after it.'),
  last: z.int().nullish().describe('At most so many rows, from the end of the list or before `before`.'),
  before: z.string().nullish().describe('A cursor: the page ends with the row before it.'),
};

/** The id that a command has on the log. */
export const commandId = id.describe('The id of the command on the log; the same for a repeat with the same `idempotencyKey`.');

/** The field that makes a command safe to send again. */
export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, { error: 'must be 1 to 128 visible ASCII characters' })
  .describe('1 to 128 visible ASCII characters of your choice. A repeat with the same key orders nothing new.');
