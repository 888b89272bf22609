import { Injectable } from '@nestjs/common';
import type { Admin, Kafka, Message, PartitionerArgs, Producer, RecordMetadata } from 'kafkajs';
import { messageOf, recordKey, topics } from '#libs/contracts';
import type { Owned, RecordType, Topic } from '#libs/contracts';
import { Linger, sleep, startTimer } from '#libs/time';
import { counter, currentTraceparent, histogram, logger, startAtZero } from '#libs/tracing';
import { Fifo } from '#libs/queues';
import { kafkaClient, nameOnLog, topicOnLog } from '../kafka/kafka-client.js';
import type { LogOptions } from '../kafka/kafka-client.js';
import { LogUnavailable, RecordTooLarge } from '../messaging.errors.js';
import { partitionOf } from '../kafka/partitioner.js';
import { replaceProduceEncoder } from '../kafka/produce-encoder.js';
import { encodeProduceRequest, encodedRecord } from '../kafka/produce-request.js';
import { recordHeaders } from '../record-headers.js';

/** The largest body of an event, bytes: what GitHub, which sends the largest, calls 25 MB. */
export const largestBodyBytes = 25 * 1_048_576;

/** Size limit of one record: value, key and headers. */
export const maxRecordBytes = 4 * 1_048_576;

/**
 * Size limit of the record of an event. The body is one JSON string in it, where each quote or backslash takes two bytes. Topics are created so that
 * they take it, and it fits into a request to Kafka (`socket.request.max.bytes`, 100 MiB).
 */
export const maxEventRecordBytes = 2 * largestBodyBytes + 2 * 1_048_576;

export interface RecordProducerOptions extends LogOptions {
  /** How long the first record of a batch waits for further records while nothing is in flight and they come often, ms. Default 2. */
  lingerMs?: number;
  /** Default 1000. */
  maxBatchRecords?: number;
  /** Default 1 MiB; a larger record is sent alone. */
  maxBatchBytes?: number;
  /** How long an append may take before it fails with LogUnavailable, ms. Default 5000. */
  ackTimeoutMs?: number;
  /** Bytes that may wait for the log; appends beyond that fail at once. Default 64 MiB: more than the largest record. */
  maxWaitingBytes?: number;
}

export interface AppendOptions {
  /** Default: the traceparent of the active trace. */
  traceparent?: string | undefined;
  /** Skips the type's check: the caller's tests show that its values pass it. Default false. */
  isChecked?: boolean;
  /**
   * The record only tells what is stored already. It waits longer for further records if nothing else is to be sent, and handlers that pass over
   * notices do not read its value. Default false.
   */
  isNotice?: boolean;
  /** Size limit of the record. Default {@link maxRecordBytes}. */
  maxBytes?: number;
}

/** Partition and offset of an appended record. */
export interface Appended {
  partition: number;
  offset: string;
}

interface Append {
  readonly topic: string;
  readonly partition: number;
  readonly message: Message;
  readonly bytes: number;
  readonly startedAt: number;
  readonly isNotice: boolean;
  settled: boolean;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: LogUnavailable | RecordTooLarge) => void;
}

/** How long notices wait for further ones while nothing else waits, nothing is in flight and they come often, ms. */
const noticesLingerMs = 10;

/** Retries for one request; total backoff about 6 s, enough for a broker restart. */
const boundedRetry = { initialRetryTime: 100, maxRetryTime: 1_000, retries: 8 };

const log = logger('messaging');
const appendDuration = histogram('millrace_append_duration_seconds', 'From the call of append to the acknowledgement of the log.', {
  topic: 'the topic',
});
const batchRecords = histogram(
  'millrace_append_batch_records',
  'Records sent to the log in one batch.',
  {},
  [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000],
);
const appendFailures = counter('millrace_append_failures_total', 'Appends that the log did not acknowledge in time.', {
  topic: 'the topic',
});

/**
 * Appends records to the log. Callers are batched: one batch is in flight while the next one fills, so order is kept and batches grow with the
 * load. Appends are idempotent within one producer id. After a batch was given up, it is unknown whether the log has it, and the next batch gets
 * a new producer id: kafkajs would reuse the sequence numbers of the lost batch, and the broker would drop the next one as a repeat.
 */
@Injectable()
export class RecordProducer {
  private readonly lingering: Linger;
  private readonly noticesLingering = new Linger(noticesLingerMs);
  private readonly maxBatchRecords: number;
  private readonly maxBatchBytes: number;
  private readonly ackTimeoutMs: number;
  private readonly maxWaitingBytes: number;
  private readonly kafka: Kafka;
  private readonly probe: Admin;
  private readonly closed = new AbortController();
  private readonly waiting = new Fifo<Append>();
  private waitingBytes = 0;
  /** Number of waiting records that are no notices. */
  private hurried = 0;
  private inFlight: Append[] = [];
  /** The connected producer, and the connection attempt that led or will lead to it. */
  private producer: Producer | undefined;
  private connection: Promise<Producer> | undefined;
  private unavailable: string | undefined = 'not connected yet';
  /** The last append that failed, if none was acknowledged since. */
  private refused: { readonly reason: string; readonly at: number } | undefined;
  private pumping: Promise<void> | undefined;
  private stopLingering: (() => void) | undefined;
  /** True while notices wait for further ones. */
  private areNoticesLingering = false;
  private deadline: NodeJS.Timeout | undefined;

  constructor(private readonly options: RecordProducerOptions) {
    this.lingering = new Linger(options.lingerMs ?? 2);
    this.maxBatchRecords = options.maxBatchRecords ?? 1_000;
    this.maxBatchBytes = options.maxBatchBytes ?? 1_048_576;
    this.ackTimeoutMs = options.ackTimeoutMs ?? 5_000;
    this.maxWaitingBytes = options.maxWaitingBytes ?? 64 * 1_048_576;
    replaceProduceEncoder(encodeProduceRequest);
    startAtZero(appendFailures, { topic: Object.values(topics).map((topic) => topicOnLog(options, topic).name) });
    this.kafka = kafkaClient({
      ...options,
      requestTimeoutMs: Math.max(1_000, this.ackTimeoutMs),
      retry: boundedRetry,
    });
    this.probe = this.kafka.admin({ retry: { retries: 0 } });
  }

  /** Resolves when connected; goes on trying in the background after a failure. @throws LogUnavailable after the ack timeout */
  async connect(): Promise<void> {
    await this.inTime(this.connected());
  }

  /** Sends what was appended, waits for its acknowledgement or deadline, and refuses later appends. */
  async disconnect(): Promise<void> {
    this.closed.abort();
    this.stopLingering?.();
    const lastDeadline = new AbortController();
    await Promise.race([this.pumping, sleep(this.ackTimeoutMs, lastDeadline.signal).catch(() => undefined)]);
    lastDeadline.abort();
    this.unavailable = 'disconnected';
    await Promise.all([this.producer?.disconnect(), this.probe.disconnect()]);
  }

  /**
   * Asks the log itself. Resolves if an append is expected to succeed: a log whose disk is full still answers, so a failed append counts until
   * another one is acknowledged, or for twice the ack timeout where none was tried since.
   * @throws LogUnavailable with the reason otherwise
   */
  async ready(): Promise<void> {
    if (this.unavailable !== undefined) throw new LogUnavailable(this.unavailable);
    if (this.refused !== undefined && (this.isOverdue() || performance.now() - this.refused.at < 2 * this.ackTimeoutMs)) {
      throw new LogUnavailable(`the last append failed: ${this.refused.reason}`);
    }
    try {
      await this.inTime(this.probe.describeCluster());
    } catch (error) {
      throw error instanceof LogUnavailable ? error : new LogUnavailable(messageOf(error), error);
    }
  }

  /** True while a batch is sent again whose appends have failed already. */
  private isOverdue(): boolean {
    const [oldest] = this.inFlight;
    return oldest !== undefined && performance.now() - oldest.startedAt > this.ackTimeoutMs;
  }

  private async inTime(work: Promise<unknown>): Promise<void> {
    const timeout = new AbortController();
    const expiry = sleep(this.ackTimeoutMs, timeout.signal).then(() => {
      throw new LogUnavailable(this.unavailable ?? `no response within ${this.ackTimeoutMs} ms`);
    });
    try {
      await Promise.race([work, expiry]);
    } finally {
      timeout.abort();
      expiry.catch(() => undefined);
    }
  }

  /**
   * Resolves when all in-sync replicas have the record. Key and headers are derived from the value, its type and the active trace.
   * @throws LogUnavailable
   * @throws RecordTooLarge
   */
  append<T extends Owned>(topic: Topic, type: RecordType<T>, value: T, options: AppendOptions = {}): Promise<Appended> {
    return new Promise((resolve, reject) => {
      const { isNotice = false } = options;
      const headers = recordHeaders(type, value, { traceparent: options.traceparent ?? currentTraceparent(), isNotice });
      const key = Buffer.from(recordKey(value));
      const record = encodedRecord({
        key,
        value: JSON.stringify(options.isChecked || type.fits(value) ? value : type.check.parse(value)),
        headers,
      });
      const bytes = record.encoded.length;
      this.refuseUnlessRoom(topic, bytes, options.maxBytes ?? maxRecordBytes);
      const partition = partitionOf(key, topic.partitions);
      const startedAt = performance.now();
      (isNotice ? this.noticesLingering : this.lingering).arrived(startedAt);
      this.waiting.push({
        topic: nameOnLog(this.options, topic.name),
        partition,
        message: { ...record, partition },
        bytes,
        startedAt,
        isNotice,
        settled: false,
        resolve,
        reject,
      });
      this.waitingBytes += bytes;
      if (!isNotice) this.hurried += 1;
      this.watchDeadlines();
      if (!isNotice && this.areNoticesLingering) this.stopLingering?.();
      if (this.waiting.length >= this.maxBatchRecords || this.waitingBytes >= this.maxBatchBytes) this.stopLingering?.();
      this.pumping ??= this.pump();
    });
  }

  private refuseUnlessRoom(topic: Topic, bytes: number, maxBytes: number): void {
    if (bytes > maxBytes) throw new RecordTooLarge(bytes, `at most ${maxBytes}`);
    if (this.closed.signal.aborted) throw new LogUnavailable('this process is stopping');
    if (this.waitingBytes + bytes > this.maxWaitingBytes) {
      appendFailures.inc({ topic: topic.name });
      throw new LogUnavailable(this.unavailable ?? `${this.maxWaitingBytes} bytes are waiting for it already`);
    }
  }

  /** Sends batch after batch until nothing waits. Never rejects: every failure belongs to the appends of a batch. */
  private async pump(): Promise<void> {
    await this.linger();
    while (this.waiting.length > 0) {
      try {
        const producer = await this.connected();
        await this.send(producer, this.takeBatch());
      } catch (error) {
        await this.giveUp(error);
      }
      if (this.waiting.length > 0 && this.hurried === 0) await this.linger();
    }
    this.pumping = undefined;
  }

  private async linger(): Promise<void> {
    if (this.closed.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.areNoticesLingering = this.hurried === 0;
    const { waitMs } = this.areNoticesLingering ? this.noticesLingering : this.lingering;
    const timer = waitMs > 0 ? startTimer(resolve, waitMs) : undefined;
    if (timer === undefined) setImmediate(resolve); // what is appended in the same turn goes together
    this.stopLingering = resolve;
    await promise;
    clearTimeout(timer);
    this.stopLingering = undefined;
    this.areNoticesLingering = false;
  }

  private takeBatch(): Append[] {
    const batch: Append[] = [];
    let bytes = 0;
    for (let next = this.waiting.peek(); next !== undefined; next = this.waiting.peek()) {
      if (batch.length === this.maxBatchRecords || (batch.length > 0 && bytes + next.bytes > this.maxBatchBytes)) break;
      bytes += next.bytes;
      this.waitingBytes -= next.bytes;
      if (!next.isNotice) this.hurried -= 1;
      this.waiting.shift();
      batch.push(next);
    }
    return batch;
  }

  private async send(producer: Producer, batch: Append[]): Promise<void> {
    this.inFlight = batch;
    if (batch.length === 0) return;
    batchRecords.observe({}, batch.length);
    // `sendBatch` numbers the records and calls `encodeProduceRequest` for the bytes: `append` has encoded each record already.
    // If a partition's leader moves during a retry to a broker that has responded already, kafkajs forgets the partition: what is not in the response is sent again.
    for (let open = batch; open.length > 0;) {
      const acknowledged = baseOffsets(await producer.sendBatch({ acks: -1, timeout: this.ackTimeoutMs, topicMessages: byTopic(open) }));
      open = open.filter((append) => {
        const position = `${append.topic}/${append.partition}`;
        const offset = acknowledged.get(position);
        if (offset === undefined) return true;
        acknowledged.set(position, offset + 1);
        this.acknowledge(append, offset);
        return false;
      });
    }
    this.inFlight = [];
  }

  private acknowledge(append: Append, offset: number): void {
    if (append.settled) return;
    append.settled = true;
    this.refused = undefined;
    appendDuration.observe({ topic: append.topic }, (performance.now() - append.startedAt) / 1_000);
    append.resolve({ partition: append.partition, offset: String(offset) });
  }

  private fail(append: Append, reason: string, cause?: unknown): void {
    if (append.settled) return;
    append.settled = true;
    this.refused = { reason, at: performance.now() };
    appendFailures.inc({ topic: append.topic });
    append.reject(new LogUnavailable(reason, cause));
  }

  /** Fails the batch in flight and drops the producer id that numbered it. */
  private async giveUp(error: unknown): Promise<void> {
    const reason = messageOf(error);
    const lost = this.inFlight;
    this.inFlight = [];
    if (isTooLarge(error) && lost.length === 1) return this.refuse(lost[0]!);
    for (const append of lost) this.fail(append, reason, error);
    if (this.closed.signal.aborted) {
      while (this.waiting.length > 0) for (const append of this.takeBatch()) this.fail(append, reason, error);
    }
    log.error({ err: error, records: lost.length }, 'a batch was given up, its records may or may not be in the log');
    this.unavailable = reason;
    const producer = this.producer;
    this.producer = undefined;
    this.connection = undefined;
    await producer?.disconnect().catch((failure: unknown) => log.warn({ err: failure }, 'the lost producer did not disconnect'));
    // Without it, a process that appends nothing would not find out that the log is back.
    if (!this.closed.signal.aborted) this.connected().catch(() => undefined);
  }

  /** A record larger than `max.message.bytes` of its topic. It was alone in its batch, and the log has nothing of it. */
  private refuse(append: Append): void {
    if (append.settled) return;
    append.settled = true;
    append.reject(new RecordTooLarge(append.bytes, `less: max.message.bytes of the topic ${append.topic}`));
  }

  /** The producer in use, or a new one. Tries until it is connected or this RecordProducer is closed. */
  private connected(): Promise<Producer> {
    this.connection ??= this.connectAnew();
    return this.connection;
  }

  private async connectAnew(): Promise<Producer> {
    for (let pauseMs = 250; ; pauseMs = Math.min(2 * pauseMs, 2_000)) {
      const producer = this.kafka.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: () => choosePartition,
        retry: boundedRetry,
      });
      try {
        await producer.connect();
        this.closed.signal.throwIfAborted();
        this.unavailable = undefined;
        this.producer = producer;
        return producer;
      } catch (error) {
        await producer.disconnect().catch(() => undefined);
        if (this.closed.signal.aborted) throw error;
        this.unavailable = messageOf(error);
        log.warn({ err: error }, 'the log cannot be reached; trying again');
      }
      await sleep(pauseMs, this.closed.signal).catch(() => undefined);
    }
  }

  /** One timer for all appends: they have the same timeout, so the oldest open one is the next to expire. */
  private watchDeadlines(): void {
    if (this.deadline !== undefined) return;
    this.deadline = startTimer(() => {
      this.deadline = undefined;
      const expired = performance.now() - this.ackTimeoutMs;
      const reason = this.unavailable ?? `no acknowledgement within ${this.ackTimeoutMs} ms`;
      for (const append of this.inFlight) if (append.startedAt <= expired) this.fail(append, reason);
      for (let oldest = this.waiting.peek(); oldest !== undefined && oldest.startedAt <= expired; oldest = this.waiting.peek()) {
        this.waiting.shift();
        this.waitingBytes -= oldest.bytes;
        this.fail(oldest, reason);
      }
      if (this.waiting.length > 0 || this.inFlight.some((append) => !append.settled)) this.watchDeadlines();
    }, this.untilNextDeadline());
  }

  private untilNextDeadline(): number {
    const oldest = this.inFlight.find((append) => !append.settled) ?? this.waiting.peek();
    if (oldest === undefined) return this.ackTimeoutMs;
    return Math.max(1, Math.ceil(oldest.startedAt + this.ackTimeoutMs - performance.now()));
  }
}

/** Every message has its partition already, see partitioner.ts. */
function choosePartition({ message }: PartitionerArgs): number {
  return message.partition!;
}

function byTopic(batch: readonly Append[]): { topic: string; messages: Message[] }[] {
  const byName = new Map<string, Message[]>();
  for (const { topic, message } of batch) {
    const messages = byName.get(topic);
    if (messages === undefined) byName.set(topic, [message]);
    else messages.push(message);
  }
  return [...byName].map(([topic, messages]) => ({ topic, messages }));
}

/** First offset by `topic/partition`. */
function baseOffsets(responses: readonly RecordMetadata[]): Map<string, number> {
  return new Map(responses.map(({ topicName, partition, baseOffset }) => [`${topicName}/${partition}`, Number(baseOffset)]));
}

/** The response of a broker to a batch that is larger than its topic takes. */
function isTooLarge(error: unknown): boolean {
  const { type, cause } = error as { type?: string; cause?: { type?: string } };
  return (type ?? cause?.type) === 'MESSAGE_TOO_LARGE';
}
