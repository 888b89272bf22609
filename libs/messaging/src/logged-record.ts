import { noCustomer, ownerOfKey, recordKey } from '#libs/contracts';
import type { Owned, RecordType } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import { RecordUndecodable } from './messaging.errors.js';
import { headerText } from './record-headers.js';
import type { LogHeaders } from './record-headers.js';

/** A partition of the log. */
export interface TopicPartition {
  /** Name on the log, prefix included. */
  readonly topic: string;
  readonly partition: number;
}

/** `topic/partition`, as a map key and in messages. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** The place of a record in its partition, unique also after the topic was deleted and created again. */
export interface LogPosition {
  /** The id of the topic, which a topic that is created anew under the same name does not share. Offsets count within it. */
  readonly logId: string;
  readonly offset: number;
}

/** A record as read from the log. */
export interface LoggedRecord extends TopicPartition, LogPosition {
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: LogHeaders | undefined;
}

export function schemaOf(record: LoggedRecord): string | undefined {
  return headerText(record.headers, 'mr_schema');
}

/** Reads tenant and customer from the key. A malformed key becomes the customer itself, so that its records have an order too. */
export function ownerOf(record: Pick<LoggedRecord, 'key' | 'headers'>): Owned {
  const key = record.key?.toString() ?? '';
  return ownerOfKey(key) ?? { tenant: headerText(record.headers, 'mr_tenant') ?? '', customer: key || noCustomer };
}

/** Parses and checks the value of a record. @throws RecordUndecodable with the first problem and its path */
export function decode(record: LoggedRecord, type: RecordType): Owned {
  const value = checked(parseJson(record), type);
  const key = record.key?.toString();
  const owner = ownerOfKey(key ?? '');
  if (owner?.tenant !== value.tenant || owner.customer !== value.customer) {
    throw new RecordUndecodable(`${type.schema}: the key '${key}' is not that of its owner, '${recordKey(value)}'`);
  }
  return value;
}

function checked(value: unknown, type: RecordType): Owned {
  if (type.fits(value)) return value;
  const { data, error } = type.check.safeParse(value);
  if (error === undefined) return data;
  const [issue] = error.issues;
  throw new RecordUndecodable(`${type.schema}: ${issue!.path.join('.') || 'the value'} ${issue!.message}`, error);
}

function parseJson({ value }: LoggedRecord): unknown {
  if (value === null) throw new RecordUndecodable('the record has no value');
  try {
    return parseStoredJson(value.toString());
  } catch (error) {
    throw new RecordUndecodable('the value is not JSON', error);
  }
}
