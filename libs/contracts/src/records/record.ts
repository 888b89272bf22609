import type { z } from 'zod';
import type { Lane } from '../names.js';

/** Every record belongs to a customer of a tenant: that pair is its key, so it has one place in one order. */
export interface Owned {
  tenant: string;
  customer: string;
}

/** One kind of message on a topic. `schema` travels in the header `mr_schema`; the check runs on both sides of the log, at the door by a test instead. */
export interface RecordType<T extends Owned = Owned> {
  /** `<name>.v<version>`, past tense for facts, a verb for commands. */
  readonly schema: string;
  readonly check: z.ZodType<T>;
}

export function recordType<T extends Owned>(schema: string, check: z.ZodType<T>): RecordType<T> {
  return { schema, check };
}

/** A named topic and what may be on it. */
export interface Topic {
  /** Without the installation's prefix, which libs/messaging puts before it. */
  readonly name: string;
  /** Fixed at creation: another count would move keys to other partitions. */
  readonly partitions: number;
  readonly retentionMs: number;
  /** Whose records are handled first where a group reads several topics. Default `normal`. */
  readonly priority?: Lane;
  readonly types: readonly RecordType[];
}
