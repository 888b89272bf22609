import { DeadLettered, deadLetterId } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import { ownerOf } from '../logged-record.js';
import type { LoggedRecord } from '../logged-record.js';

/** A larger value is left out of the dead letter's record, in which it would not fit. The position still identifies it. */
const maxParkedValueBytes = 2 * 1_048_576;

/** Makes the dead letter of a record that a group could not process. Its id is the same however often the record is parked,
 * and that of no record at the same place of a topic that was created anew. */
export function deadLetterOf(record: LoggedRecord, group: string, failure: { code: string; message: string }, now: Date): DeadLettered {
  const { tenant, customer } = ownerOf(record);
  // A record that was held before logs had identities keeps the id of its dead letter.
  const log = record.logId === '' ? [] : [record.logId];
  const position = `${record.topic}/${record.partition}/${record.offset}`;
  return {
    tenant,
    customer,
    deadLetterId: deadLetterId(tenant, 'record', group, ...log, position),
    kind: 'record',
    code: failure.code,
    message: failure.message,
    ...subjectOf(record),
    position,
    valueBase64: record.value !== null && record.value.length <= maxParkedValueBytes ? record.value.toString('base64') : null,
    at: now.toISOString(),
  };
}

/** Reads the ids that an operator searches by, if the value has them. */
function subjectOf({ value }: LoggedRecord): Pick<DeadLettered, 'eventId' | 'runId' | 'deliveryId'> {
  let read: unknown;
  try {
    read = parseStoredJson(value?.toString() ?? '');
  } catch {
    read = undefined;
  }
  const fields = typeof read === 'object' && read !== null ? (read as Record<string, unknown>) : {};
  const text = (field: string): string | null => (typeof fields[field] === 'string' ? fields[field] : null);
  return { eventId: text('eventId'), runId: text('runId'), deliveryId: text('deliveryId') };
}
