import { EventReceived, sourceAddress } from '#libs/contracts';
import type { Owned, RecordType } from '#libs/contracts';

const noticeHeader = 'mr_notice';
/** Written only with the value `pass`, so that the records of most types are not longer for it. */
const ifUnknownHeader = 'mr_if_unknown';

/** Makes the headers of a record. Only this function writes them, so that no caller can forget the tenant or break a trace. */
export function recordHeaders<T extends Owned>(
  type: RecordType<T>,
  value: T,
  { traceparent, isNotice = false }: { traceparent: string | undefined; isNotice?: boolean | undefined },
): Record<string, string> {
  const headers: Record<string, string> = { mr_schema: type.schema, mr_tenant: value.tenant };
  if (isNotice) headers[noticeHeader] = '1';
  if (type.ifUnknown === 'pass') headers[ifUnknownHeader] = 'pass';
  if (traceparent !== undefined) headers['traceparent'] = traceparent;
  if (type.schema === EventReceived.schema) writeCloudEvent(headers, value as unknown as EventReceived);
  return headers;
}

/** True for a record that only tells what is stored already. */
export function isMarkedAsNotice(headers: LogHeaders | undefined): boolean {
  return headers?.[noticeHeader] !== undefined;
}

/** True for a record that a consumer may pass over if it does not know its type. */
export function mayBePassedIfUnknown(headers: LogHeaders | undefined): boolean {
  return headerText(headers, ifUnknownHeader) === 'pass';
}

/** CloudEvents 1.0, Kafka binding, binary mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md */
function writeCloudEvent(headers: Record<string, string>, event: EventReceived): void {
  headers['ce_specversion'] = '1.0';
  headers['ce_id'] = event.eventId;
  headers['ce_source'] = sourceAddress(event.tenant, event.source);
  headers['ce_type'] = event.type;
  headers['ce_time'] = event.occurredAt;
  headers['content-type'] = 'application/json';
}

/** Returns one header as text, in whichever shape kafkajs has it; undefined if it is missing. */
export function headerText(headers: LogHeaders | undefined, name: string): string | undefined {
  const found = headers?.[name];
  const value = Array.isArray(found) ? found[0] : found;
  return value?.toString();
}

export type LogHeaders = Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;
