import { noCustomer, recordKey } from '#libs/contracts';
import type { Owned, RecordType } from '#libs/contracts';
import { RecordUndecodable } from './messaging.errors.js';
import { headerText } from './record-headers.js';
import type { LogHeaders } from './record-headers.js';

/** A partition of the log. */
export interface TopicPartition {
  /** As it is called on the log. */
  readonly topic: string;
  readonly partition: number;
}

/** `topic/partition`: the name of a place, for maps and messages. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** A record as it stands in the log. */
export interface LoggedRecord extends TopicPartition {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: LogHeaders | undefined;
}

export function schemaOf(record: LoggedRecord): string | undefined {
  return headerText(record.headers, 'mr_schema');
}

/** What can be read of the key; a key that is none still gets a place in one order. */
export function ownerOf(record: Pick<LoggedRecord, 'key' | 'headers'>): Owned {
  const key = record.key?.toString() ?? '';
  const slash = key.indexOf('/');
  if (slash === -1) return { tenant: headerText(record.headers, 'mr_tenant') ?? '', customer: key || noCustomer };
  return { tenant: key.slice(0, slash), customer: key.slice(slash + 1) };
}

/** The record's value, checked. @throws RecordUndecodable with what is wrong and, of several problems, where the first one is */
export function decode(record: LoggedRecord, type: RecordType): Owned {
  const checked = type.check.safeParse(parseJson(record));
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw new RecordUndecodable(`${type.schema}: ${issue!.path.join('.') || 'the value'} ${issue!.message}`, checked.error);
  }
  const key = record.key?.toString();
  if (key !== recordKey(checked.data)) {
    throw new RecordUndecodable(`${type.schema}: the key '${key}' is not that of its owner, '${recordKey(checked.data)}'`);
  }
  return checked.data;
}

function parseJson({ value }: LoggedRecord): unknown {
  if (value === null) throw new RecordUndecodable('the record has no value');
  try {
    return JSON.parse(value.toString());
  } catch (error) {
    throw new RecordUndecodable('the value is not JSON', error);
  }
}
