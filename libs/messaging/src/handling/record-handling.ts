import { DeadLettered, DomainError, topics } from '#libs/contracts';
import type { RetryPolicy } from '#libs/retries';
import { wallTime } from '#libs/time';
import { SpanKind, counter, failSpan, histogram, inSpan, logger, recordedTraceId, startAtZero, workDone } from '#libs/tracing';
import type { Span } from '#libs/tracing';
import { afterFailure } from './failure-policy.js';
import type { Tries } from './failure-policy.js';
import type { HandlerGroup } from './handler-groups.js';
import { nameOnLog } from '../kafka/kafka-client.js';
import type { LogOptions } from '../kafka/kafka-client.js';
import type { DispatchResult } from '../dispatching/key-ordered-dispatcher.js';
import { decode, ownerOf, schemaOf } from '../logged-record.js';
import type { LoggedRecord } from '../logged-record.js';
import { HoldsCustomer, RecordUndecodable } from '../messaging.errors.js';
import { deadLetterOf } from './parking.js';
import { headerText } from '../record-headers.js';
import type { RecordProducer } from '../producing/record-producer.js';

/** A record and the attempts at it, from its arrival to its last attempt. */
export interface RecordWork {
  readonly record: LoggedRecord;
  readonly signal: AbortSignal;
  readonly tries: Tries;
  /** True if the record comes from the hold store. */
  readonly wasHeld?: boolean;
  /** The dead letter of a record that was given up. Once set, only the append of the dead letter remains. */
  parked?: DeadLettered;
}

/** `heldBy`: the record was given up and this dead letter is in the log. By the group's policy, later records of its customer wait for it. */
export type HandlingResult = DispatchResult | { readonly heldBy: string };

export function workOn(record: LoggedRecord, signal: AbortSignal): RecordWork {
  return { record, signal, tries: { attempt: 0, spent: 0, ours: 0, defects: 0 } };
}

const log = logger('messaging');
const handled = counter('millrace_records_handled_total', 'Attempts to handle a record, by outcome: ok or the code of the failure.', {
  group: 'the consumer group',
  topic: 'the topic',
  outcome: '`ok`, `abandoned`, or a code of failures.md',
});
const handlingDuration = histogram('millrace_record_handling_duration_seconds', 'One attempt to handle a record.', {
  group: 'the consumer group',
  topic: 'the topic',
});
const parkedRecords = counter('millrace_records_parked_total', 'Records given up to the dead letters.', {
  group: 'the consumer group',
  topic: 'the topic',
  code: 'a code of failures.md',
});

/** One attempt at a record: decode, call the handler, decide what its failure means, park. */
export class RecordHandling {
  constructor(
    private readonly group: HandlerGroup,
    private readonly options: { producer: RecordProducer; retry: RetryPolicy; log: LogOptions; now?: () => Date },
  ) {
    startAtZero(handled, { group: group.group, topic: group.topics.map(({ name }) => name), outcome: 'ok' });
  }

  async handle(work: RecordWork): Promise<HandlingResult> {
    if (work.signal.aborted) return 'abandoned';
    if (work.parked !== undefined) return this.park(work, work.parked);
    const { record } = work;
    const parent = headerText(record.headers, 'traceparent');
    work.tries.attempt += 1;
    return inSpan(`process ${record.topic}`, { kind: SpanKind.CONSUMER, parent, attributes: () => this.attributes(work) }, (span) =>
      this.attempt(work, parent, span),
    );
  }

  private async attempt(work: RecordWork, traceparent: string | undefined, span: Span): Promise<HandlingResult> {
    const { topic } = work.record;
    const attempt = work.tries.attempt;
    const startedAt = performance.now();
    let outcome = 'ok';
    let level: 'info' | undefined;
    try {
      await this.call(work, traceparent);
      return 'finished';
    } catch (error) {
      failSpan(span, error);
      if (work.signal.aborted) {
        outcome = 'abandoned';
        return 'abandoned';
      }
      outcome = codeOf(error);
      if (error instanceof DomainError && error.isReported) level = 'info';
      if (error instanceof HoldsCustomer) return { heldBy: error.deadLetterId };
      const next = afterFailure(error, work.tries, this.options.retry);
      if (outcome === 'record.defect') log.error({ err: error, ...this.ids(work) }, 'a handler failed with an unexpected error');
      return 'park' in next ? await this.giveUp(work, next.park) : next;
    } finally {
      const durationMs = performance.now() - startedAt;
      handled.inc({ group: this.group.group, topic, outcome });
      handlingDuration.observe({ group: this.group.group, topic }, durationMs / 1_000, recordedTraceId(span));
      workDone(log, 'record', { attempt, outcome, durationMs }, () => this.ids(work), level);
    }
  }

  private async call({ record, signal, tries, wasHeld }: RecordWork, traceparent: string | undefined): Promise<void> {
    const schema = schemaOf(record);
    const handler = schema === undefined ? undefined : this.group.handlerOf(record.topic, schema);
    if (handler === undefined) {
      throw new RecordUndecodable(
        schema === undefined ? 'the record has no header mr_schema' : `${schema} does not belong on ${record.topic}`,
      );
    }
    const value = decode(record, handler.type);
    await handler.handle(value, {
      tenant: value.tenant,
      customer: value.customer,
      topic: record.topic,
      partition: record.partition,
      offset: String(record.offset),
      timestampMs: record.timestampMs,
      ...(traceparent === undefined ? {} : { traceparent }),
      attempt: tries.attempt,
      ...(wasHeld === true ? { wasHeld } : {}),
      signal,
    });
  }

  private async giveUp(work: RecordWork, failure: { code: string; message: string }): Promise<HandlingResult> {
    const { topic } = work.record;
    if (this.group.audience === 'every-process' || topic === nameOnLog(this.options.log, topics.deadLetters.name)) {
      // Records of an every-process group are not parked, and a dead letter that cannot be processed would only produce another one.
      log.error({ ...this.ids(work), ...failure }, 'a record was skipped');
      return 'finished';
    }
    parkedRecords.inc({ group: this.group.group, topic, code: failure.code });
    work.parked = deadLetterOf(work.record, this.group.group, failure, this.options.now?.() ?? wallTime());
    return this.park(work, work.parked);
  }

  /** Appends the dead letter. Retries without limit: a record that is neither handled nor parked must not be committed. */
  private async park(work: RecordWork, deadLetter: DeadLettered): Promise<HandlingResult> {
    const traceparent = headerText(work.record.headers, 'traceparent');
    try {
      await this.options.producer.append(topics.deadLetters, DeadLettered, deadLetter, traceparent === undefined ? {} : { traceparent });
      return { heldBy: deadLetter.deadLetterId };
    } catch (error) {
      log.error({ err: error, ...this.ids(work) }, 'a dead letter could not be appended; trying again');
      return { againInMs: this.options.retry.initialDelayMs };
    }
  }

  private ids({ record }: RecordWork): Record<string, unknown> {
    const { topic, partition, offset } = record;
    const eventId = headerText(record.headers, 'ce_id');
    return { group: this.group.group, topic, partition, offset, schema: schemaOf(record), ...ownerOf(record), eventId };
  }

  /** https://opentelemetry.io/docs/specs/semconv/messaging/kafka/ */
  private attributes({ record, tries }: RecordWork): Record<string, string | number> {
    return {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': record.topic,
      'messaging.destination.partition.id': String(record.partition),
      'messaging.consumer.group.name': nameOnLog(this.options.log, this.group.group),
      'messaging.kafka.offset': record.offset,
      'millrace.attempt': tries.attempt,
    };
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && 'outcome' in error ? String(error.code) : 'record.defect';
}
