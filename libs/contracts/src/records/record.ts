import type { z } from 'zod';
import type { Lane } from '../names.js';
import { compiledCheck } from './compiled-check.js';

/** Every record belongs to a customer of a tenant. The pair is its key, so all records of a customer stand in one order. */
export interface Owned {
  tenant: string;
  customer: string;
}

/** One kind of message on a topic. `schema` travels in the header `mr_schema`; the check runs at the producer and at the consumer (doors are held to it by a test instead). */
export interface RecordType<T extends Owned = Owned> {
  /** `<name>.v<version>`, past tense for facts, a verb for commands. */
  readonly schema: string;
  readonly check: z.ZodType<T>;
  /** True for a value that `check` would return as it is. False says nothing: `check` knows why. */
  readonly fits: (value: unknown) => value is T;
  /**
   * The way of a consumer that does not know the type, because it is of an earlier release. `hold`, the safe default: it parks the record and holds its
   * customer until somebody retries it after the upgrade. `pass`: it goes on, and never handles the record; only for what may be missed.
   */
  readonly ifUnknown: 'hold' | 'pass';
}

export function recordType<T extends Owned>(
  schema: string,
  check: z.ZodType<T>,
  { ifUnknown = 'hold' }: { ifUnknown?: RecordType['ifUnknown'] } = {},
): RecordType<T> {
  const fits = compiledCheck(check) ?? (() => false);
  return { schema, check, fits: fits as RecordType<T>['fits'], ifUnknown };
}

/** A named topic and the types of its records. */
export interface Topic {
  /** The name without the installation's prefix, which libs/messaging adds. */
  readonly name: string;
  /** Fixed at creation: another count would move keys to other partitions. */
  readonly partitions: number;
  readonly retentionMs: number;
  /** True where only the last record of each key counts, so that Kafka may remove earlier ones at any time. Default false. */
  readonly isCompacted?: boolean;
  /** The lane by which a group that reads several topics decides which records to handle first. Default `normal`. */
  readonly priority?: Lane;
  readonly types: readonly RecordType[];
}
