import type { z } from 'zod';
import type { FailureCode, Scope } from '#libs/contracts';
import type { Cost } from './shape.js';

/** The fields of an operation's input or of a command's result. */
export type Fields = z.ZodRawShape;

interface Declared<Input extends z.ZodObject> {
  /** In camel case; unique among all operations. */
  readonly name: string;
  /** For people, in the documents of every door. */
  readonly about: string;
  /** The scope that a key needs. */
  readonly scope: Scope;
  readonly cost?: Cost;
  /** Parsed before the handler runs. */
  readonly input: Input;
  /** The expected failures, beside those that every operation has (`credential.*`, `request.*`, `storage.unavailable`). */
  readonly failures: readonly FailureCode[];
}

/** Reads, and changes nothing. */
export interface QueryOperation<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodType = z.ZodType> extends Declared<Input> {
  readonly kind: 'query';
  readonly output: Output;
}

/** Changes something, or orders it. Its result has fields; its expected failures are part of the result at doors that can say so. */
export interface CommandOperation<Input extends z.ZodObject = z.ZodObject, Result extends Fields = Fields> extends Declared<Input> {
  readonly kind: 'command';
  /** The name of the input's type where several commands share it; default: the command's name and `Input`. */
  readonly inputName?: string;
  /** For people; default: the input of this command. */
  readonly aboutInput?: string;
  readonly result: Result;
  /** For people; default: the result of this command. */
  readonly aboutResult?: string;
}

/** A stream of changes. */
export interface SubscriptionOperation<
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodType = z.ZodType,
> extends Declared<Input> {
  readonly kind: 'subscription';
  readonly output: Output;
}

/** A query, command or subscription of the contract: declared once, offered by every door. */
export type Operation = QueryOperation | CommandOperation | SubscriptionOperation;

export function query<Input extends z.ZodObject, Output extends z.ZodType>(
  declared: Omit<QueryOperation<Input, Output>, 'kind'>,
): QueryOperation<Input, Output> {
  return { kind: 'query', ...declared };
}

export function command<Input extends z.ZodObject, Result extends Fields>(
  declared: Omit<CommandOperation<Input, Result>, 'kind'>,
): CommandOperation<Input, Result> {
  return { kind: 'command', ...declared };
}

export function subscription<Input extends z.ZodObject, Output extends z.ZodType>(
  declared: Omit<SubscriptionOperation<Input, Output>, 'kind'>,
): SubscriptionOperation<Input, Output> {
  return { kind: 'subscription', ...declared };
}

/** The argument of an operation's handler. */
export type InputOf<O extends Operation> = z.infer<O['input']>;
/** The return value of an operation's handler. A subscription yields batches: what waits is sent together, so that its fields are loaded together. */
export type OutputOf<O extends Operation> =
  O extends CommandOperation<z.ZodObject, infer Result>
    ? Promise<z.infer<z.ZodObject<Result>>>
    : O extends SubscriptionOperation<z.ZodObject, infer Output>
      ? AsyncIterableIterator<readonly (z.infer<Output> | Error)[]>
      : O extends QueryOperation<z.ZodObject, infer Output>
        ? Promise<z.infer<Output>>
        : never;
