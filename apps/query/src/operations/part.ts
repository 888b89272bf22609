import type { Provider, Type } from '@nestjs/common';
import type { z } from 'zod';
import type { Principal } from '#libs/auth';
import type { InputOf, Operation, OutputOf } from './operation.js';

/** Finds a provider by its class. */
export type Get = <T>(type: Type<T>) => T;

/** Many rows by their keys in one statement; one row or list per key, in the order of the keys. */
export interface Loader<Row> {
  readonly batch: (get: Get, tenant: string, keys: readonly string[]) => Promise<Row[]>;
}

export function loader<Row>(batch: Loader<Row>['batch']): Loader<Row> {
  return { batch };
}

/** Who asks, and with what it is answered. The tenant comes from here and from nowhere else. */
export interface OperationContext {
  readonly principal: Principal;
  readonly get: Get;
  /** Joins the loads of one tick into one statement per loader. Nothing is remembered: a subscription must see each row as it is then. */
  readonly load: <Row>(from: Loader<Row>, key: string) => Promise<Row>;
  /** The entity with this id, of whichever kind the id's prefix says; null if there is none. */
  readonly find: (id: string) => Promise<{ id: string } | null>;
  /** True if nobody waits for the answer any more: the caller left, or the door has answered. Work that takes long asks between its steps. */
  readonly isAbandoned: () => boolean;
  /** The door answers without the operation. */
  readonly abandon: () => void;
}

type Handler = (context: OperationContext, input: never) => unknown;

/** The code behind an operation. */
export interface Handled {
  readonly operation: Operation;
  readonly handler: Handler;
}

export function handle<O extends Operation>(operation: O, handler: (context: OperationContext, input: InputOf<O>) => OutputOf<O>): Handled {
  return { operation, handler };
}

/** A field of an entity that is computed or loaded from its row. */
export interface ResolvedField {
  readonly type: z.ZodType;
  readonly resolve: (row: never, context: OperationContext) => unknown;
}

/** The fields of an entity that are not read off its row as they are. */
export interface ResolvedFields {
  readonly entity: z.ZodObject;
  readonly fields: Readonly<Record<string, ResolvedField>>;
}

export function fieldsOf<Row>(entity: z.ZodObject, fields: (field: FieldOf<Row>) => Record<string, ResolvedField>): ResolvedFields {
  return { entity, fields: fields((type, resolve) => ({ type, resolve })) };
}

type FieldOf<Row> = <Type extends z.ZodType>(
  type: Type,
  resolve: (row: Row, context: OperationContext) => z.infer<Type> | Promise<z.infer<Type>>,
) => ResolvedField;

/** An entity that can be found by its id alone: by the prefix of the id. */
export interface NodeKind {
  readonly entity: z.ZodObject;
  /** Null where there is none. */
  readonly find: (context: OperationContext, id: string) => Promise<{ id: string } | null>;
}

/** Everything that one noun brings to `query`. `npm run generate:registries` finds the parts by the name of their file. */
export interface Part {
  readonly providers?: readonly Provider[];
  readonly controllers?: readonly Type[];
  readonly node?: NodeKind;
  readonly fields?: readonly ResolvedFields[];
  readonly operations: readonly Handled[];
}

export function part(declared: Part): Part {
  return declared;
}
