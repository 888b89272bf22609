/** @module-tag both-logs The contract of the log; a real Kafka is the judge. */
import 'reflect-metadata';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { Controller, Module } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Kafka, logLevel } from 'kafkajs';
import type { IHeaders } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { DeadLettered, DomainError, customerKey, name, recordKey, recordType, topics } from '#libs/contracts';
import type { FailureCode, RecordType, Topic } from '#libs/contracts';
import { createTopics, HoldsInMemory, onKafka, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { currentTraceparent, inSpan, registry, startTracing, traceIdOf } from '#libs/tracing';
import type { Tracing } from '#libs/tracing';
import {
  Listeners,
  LogConsumer,
  LogUnavailable,
  OnRecord,
  RecordProducer,
  RecordTooLarge,
  TopicReader,
  ensureTopics,
  largestBodyBytes,
  maxEventRecordBytes,
  maxRecordBytes,
} from './index.js';
import type { LogConsumerOptions, OnRecordOptions, RecordContext } from './index.js';

/**
 * The requirements of Millrace on a log. Runs on the brokers of the test run: the local broker, and real Kafka, which is the judge.
 * Every test has topics and groups of its own, so the broker can be shared.
 */

const owned = { tenant: name, customer: customerKey };
const numberNotedSchema = z.object({ ...owned, n: z.number(), padding: z.string().optional() });
type NumberNoted = z.infer<typeof numberNotedSchema>;
const NumberNoted = recordType('number.noted.v1', numberNotedSchema);
const Ignored = recordType('ignored.v1', z.object(owned));

const brokers = testBrokers();
const log = { brokers, clientId: 'conformance', prefix: 'conformance.' };
/** The name of a topic on the log. */
const onLog = (topic: Topic): string => `${log.prefix}${topic.name}`;
const raw = new Kafka({ brokers: [...brokers], clientId: 'raw', logLevel: logLevel.NOTHING });
/** Short delays, where the product waits seconds. */
const quickRetry = { retries: 3, initialDelayMs: 30, factor: 1, maxDelayMs: 30, jitter: 0 };

let tracing: Tracing;
let producer: RecordProducer;
beforeAll(async () => {
  tracing = await startTracing({ service: 'conformance', otlpUrl: undefined, sampleRatio: 1 });
  await ensureTopics(log, [topics.deadLetters]);
  producer = new RecordProducer(log);
  await producer.connect();
});
afterAll(async () => {
  await producer.disconnect();
  await tracing.shutdown();
});

const running: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.close()));
});

test('what is appended stands in the log with its key, its headers and its value', async () => {
  const topic = await newTopic();
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const appended = await producer.append(topic, NumberNoted, noted('c1', 1), { traceparent });
  const [record] = await readAll(topic, 1);
  expect(record).toMatchObject({ partition: appended.partition, offset: appended.offset, key: 'acme/c1', value: noted('c1', 1) });
  expect(record!.headers).toEqual({ mr_tenant: 'acme', mr_schema: 'number.noted.v1', traceparent });
});

test('a consumer joins at once, and hands on the first record when it is let', async () => {
  const topic = await newTopic();
  await producer.append(topic, NumberNoted, noted('c1', 1));
  const doors = Promise.withResolvers<void>();
  const waiting = await consume([handlerOf(topic)], undefined, { begin: doors.promise });
  const other = await consume([handlerOf(topic)]);
  await waitFor(() => other.values.length === 1, { what: 'the other group to have the record' });
  expect(waiting.started).toBe(0);
  doors.resolve();
  await waitFor(() => waiting.values.length === 1, { what: 'the record' });
});

test('appends of many callers share batches, and each caller learns the offset of its own record', async () => {
  const topic = await newTopic();
  const before = await batchesSent();
  const appended = await Promise.all(range(500).map((n) => producer.append(topic, NumberNoted, noted(`c${n % 20}`, n))));
  expect((await batchesSent()) - before).toBeLessThan(20);
  const records = await readAll(topic, 500);
  for (const [n, position] of appended.entries()) {
    expect(records.find(({ partition, offset }) => partition === position.partition && offset === position.offset)?.value).toEqual(
      noted(`c${n % 20}`, n),
    );
  }
});

test('a notice waits for others while they come often, and goes with the next record that is none', async () => {
  const topic = await newTopic(1);
  const hasty = new RecordProducer({ ...log, lingerMs: 0 });
  running.push({ close: () => hasty.disconnect() });
  await hasty.connect();
  const notice = (n: number) => hasty.append(topic, NumberNoted, noted('c1', n), { isNotice: true });
  await Promise.all(range(100).map(notice));
  const before = await batchesSent();
  const waiting = notice(101);
  await new Promise((resolve) => setImmediate(resolve));
  const [first, second] = await Promise.all([waiting, hasty.append(topic, NumberNoted, noted('c1', 102))]);
  expect((await batchesSent()) - before).toBe(1);
  expect(Number(second.offset)).toBe(Number(first.offset) + 1);
});

test('a batch that is sent again because its acknowledgement was lost stands in the log once', async () => {
  const topic = await newTopic(1);
  const connections = breakableConnections();
  const client = new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    socketFactory: connections.socketFactory,
    retry: { retries: 5 },
  });
  const once = client.producer({ idempotent: true, maxInFlightRequests: 1 });
  await once.connect();
  const message = (n: number) => ({ key: 'acme/c1', value: String(n) });
  await once.send({ topic: onLog(topic), messages: [message(1)] });
  connections.loseNextAnswer();
  await once.send({ topic: onLog(topic), messages: [message(2), message(3)] });
  expect(connections.answersLost).toBe(1);
  await once.send({ topic: onLog(topic), messages: [message(4)] });
  await once.disconnect();
  expect((await readAll(topic, 4)).map(({ value, offset }) => [value, offset])).toEqual([
    [1, '0'],
    [2, '1'],
    [3, '2'],
    [4, '3'],
  ]);
  expect(await endOf(topic)).toBe(4);
});

describe('a reader without a group', () => {
  function readerOf(topic: Topic) {
    const read: { n: number; offset: number }[] = [];
    let restarts = 0;
    const reader = new TopicReader(log, topic, {
      onRecords: (records) => read.push(...records.map(({ value, offset }) => ({ n: JSON.parse(String(value)).n as number, offset }))),
      onRestart: () => (restarts += 1),
    });
    running.push(reader);
    return { reader, read, numbers: () => read.map(({ n }) => n), restarts: () => restarts };
  }

  test('reads what was acknowledged before, and reads on from there after its connection was closed', async () => {
    const topic = await newTopic(1);
    const [one, other] = [readerOf(topic), readerOf(topic)];
    await one.reader.readToEnd();
    expect(one.read).toEqual([]);
    await Promise.all(range(500).map((n) => producer.append(topic, NumberNoted, { ...noted(`c${n}`, n), padding: 'x'.repeat(20_000) })));
    await one.reader.readToEnd();
    expect(one.numbers()).toEqual(range(500));
    expect(one.read.map(({ offset }) => offset)).toEqual(range(500).map((_, at) => at));
    await one.reader.close();
    await producer.append(topic, NumberNoted, noted('c1', 501));
    await one.reader.readToEnd();
    await other.reader.readToEnd();
    expect(one.numbers()).toEqual([...range(500), 501]);
    expect(other.read).toEqual(one.read);
    expect(one.restarts()).toBe(0);
  });

  test.each([
    [0, [4]],
    [2, [2, 3, 4]],
    [9, [1, 2, 3, 4]],
  ])('passes over all records but the last %i', async (but, expected) => {
    const topic = await newTopic(1);
    const { reader, numbers } = readerOf(topic);
    for (const n of [1, 2, 3]) await producer.append(topic, NumberNoted, noted('c1', n));
    await reader.skipToEnd(but);
    await producer.append(topic, NumberNoted, noted('c1', 4));
    await reader.readToEnd();
    expect(numbers()).toEqual(expected);
  });

  test('hears of a record that comes while it waits', async () => {
    const topic = await newTopic(1);
    const { reader, numbers } = readerOf(topic);
    await reader.readToEnd();
    const waiting = reader.readNext();
    await producer.append(topic, NumberNoted, noted('c1', 1));
    await waiting;
    if (numbers().length === 0) await reader.readNext(); // the append came before the request
    expect(numbers()).toEqual([1]);
  });

  test('says that the log is away, and reads on when it is back', async () => {
    const topic = await newTopic(1);
    const away = new TopicReader({ ...log, brokers: [`127.0.0.1:${await closedPort()}`] }, topic, {
      onRecords: () => {},
      onRestart: () => {},
    });
    await expect(away.readToEnd()).rejects.toThrow(LogUnavailable);
    await away.close();
    const missing = readerOf({ ...topic, name: uniqueName('missing') });
    await expect(missing.reader.readToEnd()).rejects.toThrow(LogUnavailable);
    await ensureTopics(log, [{ ...topic, name: topic.name }]);
    const { reader, numbers } = readerOf(topic);
    await producer.append(topic, NumberNoted, noted('c1', 1));
    await reader.readToEnd();
    expect(numbers()).toEqual([1]);
  });

  test('reads a topic that is created anew, or whose next record retention took, from its beginning', async () => {
    if (!onKafka()) return; // the local broker deletes neither on request
    const topic = await newTopic(1);
    const { reader, numbers, restarts } = readerOf(topic);
    for (const n of range(5)) await producer.append(topic, NumberNoted, noted('c1', n));
    await reader.readToEnd();
    const admin = raw.admin();
    running.push({ close: () => admin.disconnect() });
    await admin.connect();
    for (const n of range(3)) await producer.append(topic, NumberNoted, noted('c1', 10 + n));
    await admin.fetchTopicOffsets(onLog(topic)); // kafkajs then knows the leader
    await admin.deleteTopicRecords({ topic: onLog(topic), partitions: [{ partition: 0, offset: '7' }] });
    await reader.readToEnd();
    expect([numbers(), restarts()]).toEqual([[0, 1, 2, 3, 4, 12], 1]);

    await admin.deleteTopics({ topics: [onLog(topic)] });
    await waitFor(
      () =>
        ensureTopics(log, [topic]).then(
          () => true,
          () => false,
        ),
      { what: 'the topic to be created anew' },
    );
    const anew = new RecordProducer(log); // the other one may know the old topic for a while
    running.push({ close: () => anew.disconnect() });
    await anew.connect();
    await anew.append(topic, NumberNoted, noted('c1', 20));
    await waitFor(
      async () => {
        await reader.readToEnd().catch(() => undefined);
        return numbers().includes(20);
      },
      { what: 'the record of the new topic' },
    );
    expect([numbers(), restarts()]).toEqual([[0, 1, 2, 3, 4, 12, 20], 2]);
  });

  test('needs one order, so a topic of one partition', async () => {
    expect(() => readerOf({ ...topics.commands })).toThrow('commands has 6 partitions, which have no order between them');
  });
});

test('a compacted topic is created, and takes records', async () => {
  const topic: Topic = { name: uniqueName('compacted'), partitions: 1, retentionMs: 3_600_000, isCompacted: true, types: [NumberNoted] };
  await ensureTopics(log, [topic]);
  await producer.append(topic, NumberNoted, noted('c1', 1));
  expect((await readAll(topic, 1)).map(({ value }) => value)).toEqual([noted('c1', 1)]);
});

test('a large record passes, one that is too large is refused before it is sent', async () => {
  const topic = await newTopic();
  const large = { ...noted('c1', 1), padding: 'x'.repeat(2 * 1_048_576) };
  await producer.append(topic, NumberNoted, large);
  const got = await consume([handlerOf(topic)], async (value) => expect(value).toEqual(large));
  await waitFor(() => got.values.length === 1, { what: 'the large record' });
  const tooLarge = { ...noted('c1', 2), padding: 'x'.repeat(maxRecordBytes) };
  await expect(producer.append(topic, NumberNoted, tooLarge)).rejects.toThrow(RecordTooLarge);
});

test('the largest body of an event passes, even if each of its bytes takes two', async () => {
  const topic = await newTopic();
  const largest = { ...noted('c1', 1), padding: '"'.repeat(largestBodyBytes) };
  await producer.append(topic, NumberNoted, largest, { maxBytes: maxEventRecordBytes });
  const got = await consume([handlerOf(topic)], async ({ n }) => expect(n).toBe(1));
  await waitFor(() => got.values.length === 1, { what: 'the largest record' });
});

test('a record that is larger than its topic takes is refused alone: those beside it are appended', async () => {
  const small: Topic = { name: uniqueName('small'), partitions: 1, retentionMs: 3_600_000, types: [NumberNoted] };
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const configEntries = [{ name: 'max.message.bytes', value: String(1_048_576) }];
  await createTopics(admin, [{ topic: onLog(small), numPartitions: 1, configEntries }]);
  await admin.disconnect();
  const tooLarge = { ...noted('c1', 2), padding: 'x'.repeat(2 * 1_048_576) };
  const appends = [noted('c1', 1), tooLarge, noted('c1', 3)].map((value) => producer.append(small, NumberNoted, value));
  expect((await Promise.allSettled(appends)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  await expect(appends[1]).rejects.toThrow(RecordTooLarge);
  expect((await readAll(small, 2)).map(({ value }) => value)).toEqual([noted('c1', 1), noted('c1', 3)]);
});

test('records of one customer are handled in order and one at a time, customers side by side', async () => {
  const topic = await newTopic();
  const atWork = new Map<string, number>();
  let mostAtOnce = 0;
  const got = await consume([handlerOf(topic)], async ({ customer, n }) => {
    expect(atWork.has(customer)).toBe(false);
    atWork.set(customer, n);
    mostAtOnce = Math.max(mostAtOnce, atWork.size);
    await turn(5 - (n % 5));
    atWork.delete(customer);
  });
  await Promise.all(range(400).map((n) => producer.append(topic, NumberNoted, noted(`c${n % 20}`, n))));
  await waitFor(() => got.values.length === 400, { what: '400 records' });
  expectOrdered(got.values);
  expect(mostAtOnce).toBeGreaterThan(10);
});

test('without an order, records of one customer are handled side by side', async () => {
  const topic = await newTopic();
  let atWork = 0;
  const all = Promise.withResolvers<void>();
  const got = await consume([handlerOf(topic, { order: 'none' })], async () => {
    atWork += 1;
    if (atWork === 10) all.resolve();
    await all.promise;
  });
  await appendEach(
    topic,
    range(10).map((n) => noted('c1', n)),
  );
  await waitFor(() => got.values.length === 10, { what: 'all at once' });
});

test('a record that has to be tried again holds back its customer and nobody else', async () => {
  const topic = await newTopic(1);
  let away = true;
  const got = await consume(
    [handlerOf(topic)],
    async ({ customer, n }) => {
      if (customer === 'slow' && n === 1 && away) throw new StorageAway();
    },
    { concurrency: 2 },
  );
  await appendEach(topic, [noted('slow', 1), noted('slow', 2), ...range(50).map((n) => noted(`c${n % 7}`, n))]);
  await waitFor(() => got.values.length === 50, { what: 'the other customers' });
  expect(got.values.some(({ customer }) => customer === 'slow')).toBe(false);
  away = false;
  await waitFor(() => got.values.length === 52, { what: 'the customer that was held back' });
  expectOrdered(got.values);
  expect(got.contexts.find((_, at) => got.values[at]!.customer === 'slow')!.attempt).toBeGreaterThan(1);
});

test('a record that nobody can process is parked with its reason, and its customer goes on', async () => {
  const topic = await newTopic(1);
  const got = await consume([handlerOf(topic)], async ({ n }) => {
    if (n === 1) throw new TypeError('x is undefined');
  });
  await appendEach(topic, [noted('c1', 1), noted('c1', 2)]);
  await waitFor(() => got.values.length === 1, { what: 'the record behind the poison' });
  expect(got.values).toEqual([noted('c1', 2)]);
  const [letter] = await deadLettersOf(topic, 1);
  expect(letter).toMatchObject({
    tenant: 'acme',
    customer: 'c1',
    kind: 'record',
    code: 'record.defect',
    message: 'x is undefined',
    position: `${onLog(topic)}/0/0`,
  });
  expect(JSON.parse(Buffer.from(letter!.valueBase64!, 'base64').toString())).toEqual(noted('c1', 1));
});

test('what is no record of ours is parked, what is for other groups is passed over', async () => {
  const topic = await newTopic(1);
  const rawProducer = raw.producer();
  await rawProducer.connect();
  const key = 'acme/c1';
  const headers = { mr_schema: NumberNoted.schema };
  await rawProducer.send({
    topic: onLog(topic),
    messages: [
      { key, value: '{}' },
      { key, value: '{}', headers: { mr_schema: 'nobody.knows.v1' } },
      { key, value: 'not json', headers },
      { key, value: JSON.stringify({ ...noted('c1', 0), n: 'zero' }), headers },
      { key: 'acme/other', value: JSON.stringify(noted('c1', 0)), headers },
      { key, value: JSON.stringify({ tenant: 'acme', customer: 'c1' }), headers: { mr_schema: Ignored.schema } },
    ],
  });
  await rawProducer.disconnect();
  const got = await consume([handlerOf(topic)]);
  await producer.append(topic, NumberNoted, noted('c1', 7));
  await waitFor(() => got.values.length === 1, { what: 'the good record' });
  const letters = await deadLettersOf(topic, 5);
  expect(new Set(letters.map(({ code }) => code))).toEqual(new Set(['record.undecodable']));
  expect(letters.map(({ message }) => message).toSorted()).toEqual([
    `nobody.knows.v1 does not belong on ${onLog(topic)}`,
    'number.noted.v1: n Invalid input: expected number, received string',
    "number.noted.v1: the key 'acme/other' is not that of its owner, 'acme/c1'",
    'the record has no header mr_schema',
    'the value is not JSON',
  ]);
});

test('a handler that passes over notices gets the other records of its type, and any other handler gets both', async () => {
  const topic = await newTopic(1);
  const [busy, all] = await Promise.all([consume([handlerOf(topic, { passesNotices: true })]), consume([handlerOf(topic)])]);
  await producer.append(topic, NumberNoted, noted('c1', 1), { isNotice: true });
  await producer.append(topic, NumberNoted, noted('c1', 2));
  await waitFor(() => busy.values.length === 1 && all.values.length === 2, { what: 'the records' });
  expect(busy.values).toEqual([noted('c1', 2)]);
  expect(all.values).toEqual([noted('c1', 1), noted('c1', 2)]);
});

describe('a record of a later release, whose type the consumer does not know,', () => {
  const Missable = recordType('number.missable.v1', numberNotedSchema, { ifUnknown: 'pass' });
  const Later = recordType('number.later.v1', numberNotedSchema);
  /** Appends as a later release does, to a topic that this one consumes. */
  const appendLater = (topic: Topic, type: RecordType<NumberNoted>, n: number) =>
    producer.append({ ...topic, types: [...topic.types, type] }, type, noted('c1', n));
  const passed = async (topic: Topic): Promise<number> => {
    const { values } = await registry.getSingleMetric('millrace_unknown_records_passed_total')!.get();
    return values.find(({ labels }) => labels['topic'] === onLog(topic))?.value ?? 0;
  };

  test('is passed over and counted if it allows that, and its customer goes on', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const got = await consume([handlerOf(topic, { poison: 'park-key' })], undefined, { holds });
    await producer.append(topic, NumberNoted, noted('c1', 1));
    await appendLater(topic, Missable, 2);
    await producer.append(topic, NumberNoted, noted('c1', 3));
    await waitFor(() => got.values.length === 2, { what: 'the records around it' });
    expect(got.values.map(({ n }) => n)).toEqual([1, 3]);
    expect([await passed(topic), holds.deadLetters]).toEqual([1, []]);
  });

  test('is parked and holds its customer if it does not, until a release that knows it handles it', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const group = uniqueName('group');
    const old = await consume([handlerOf(topic, { group, poison: 'park-key' })], undefined, { holds });
    await producer.append(topic, NumberNoted, noted('c1', 1));
    await appendLater(topic, Later, 2);
    await producer.append(topic, NumberNoted, noted('c1', 3));
    await producer.append(topic, NumberNoted, noted('c2', 4));
    await waitFor(() => holds.deadLetters.length === 1 && old.values.length === 2, { what: 'the hold, and the other customer' });
    expect(old.values.map(({ n }) => n)).toEqual([1, 4]);
    expect(await passed(topic)).toBe(0);
    await old.close();
    const grown = { ...topic, types: [...topic.types, Later] };
    const handlers = [handlerOf(grown, { group, poison: 'park-key' }), handlerOf(grown, { group, poison: 'park-key', type: Later })];
    const later = await consume(handlers, undefined, { holds });
    await holds.requestRetry('acme', holds.deadLetters[0]!);
    await waitFor(() => later.values.length === 2, { what: 'the held records' });
    expect(later.values.map(({ n }) => n)).toEqual([2, 3]);
  });
});

describe('a customer whose record cannot be processed', () => {
  const poison = { failing: true };
  /** n = 1 of c1 fails while it is poison. */
  const failsAt =
    (n: number): Work =>
    async (value) => {
      if (value.customer === 'c1' && value.n === n && poison.failing) throw new Error('poison');
    };
  beforeEach(() => {
    poison.failing = true;
  });
  const numbersOf = (consumed: readonly NumberNoted[], customer: string) =>
    consumed.filter((value) => value.customer === customer).map(({ n }) => n);

  test('waits with its later records while the others of its partition go on, and is released in order by a retry', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const got = await consume([handlerOf(topic, { poison: 'park-key' })], failsAt(1), { holds });
    await appendEach(
      topic,
      range(6).flatMap((n) => [noted('c1', n), noted('c2', n)]),
    );
    await waitFor(() => numbersOf(got.values, 'c2').length === 6 && holds.deadLetters.length === 1, { what: 'the others, and a hold' });
    const [letter] = await deadLettersOf(topic, 1);
    expect(holds.deadLetters).toEqual([letter!.deadLetterId]);
    expect(numbersOf(got.values, 'c1')).toEqual([0]);
    poison.failing = false;
    await holds.requestRetry('acme', letter!.deadLetterId);
    await waitFor(() => numbersOf(got.values, 'c1').length === 6, { what: 'the held records' });
    expect(numbersOf(got.values, 'c1')).toEqual(range(6));
    await waitFor(() => holds.size === 0, { what: 'the end of the hold' });
    expect(holds.resolutionOf(letter!.deadLetterId)).toBe('retried');
    await producer.append(topic, NumberNoted, noted('c1', 6));
    await waitFor(() => numbersOf(got.values, 'c1').at(-1) === 6, { what: 'a record after the hold' });
  });

  test('is held again where the retry fails as well, and goes on without the record when an operator skips it', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const hold = vi.spyOn(holds, 'hold');
    const got = await consume([handlerOf(topic, { poison: 'park-key' })], failsAt(0), { holds });
    await appendEach(
      topic,
      range(4).map((n) => noted('c1', n)),
    );
    await waitFor(() => holds.deadLetters.length === 1, { what: 'the hold' });
    const [letter] = holds.deadLetters as [string];
    const startedBefore = got.started;
    await holds.requestRetry('acme', letter);
    await waitFor(() => got.started >= startedBefore + 2, { what: 'the record to be tried again' });
    await waitFor(() => hold.mock.calls.length >= 2, { what: 'the second hold' });
    expect(got.values).toEqual([]);
    holds.resolve(letter, 'skipped');
    await waitFor(() => got.values.length === 3, { what: 'the records behind it' });
    expect(numbersOf(got.values, 'c1')).toEqual([1, 2, 3]);
  });

  test('that is stuck behind a deep backlog stops nobody who shares its partition, and goes on in order', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const stuck = Promise.withResolvers<void>();
    const work: Work = ({ customer }) => (customer === 'deep' ? stuck.promise : Promise.resolve());
    const got = await consume([handlerOf(topic, { poison: 'park-key' })], work, { holds });
    await appendEach(
      topic,
      range(6_000).map((n) => noted('deep', n)),
    );
    await appendEach(topic, [noted('other', 0)]);
    await waitFor(() => numbersOf(got.values, 'other').length === 1, { what: 'the customer behind the backlog', deadlineMs: 30_000 });
    expect(numbersOf(got.values, 'deep')).toEqual([]);
    stuck.resolve();
    await waitFor(() => numbersOf(got.values, 'deep').length === 6_000, { what: 'the backlog', deadlineMs: 30_000 });
    expect(numbersOf(got.values, 'deep')).toEqual(range(6_000));
    await waitFor(() => holds.size === 0, { what: 'the end of the hold' });
  });

  test('still waits after a restart, and after the next one is released where it stood', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const group = uniqueName('group');
    const member = () => consume([handlerOf(topic, { group, poison: 'park-key' })], failsAt(1), { holds });
    const first = await member();
    await appendEach(
      topic,
      range(4).map((n) => noted('c1', n)),
    );
    await waitFor(() => holds.deadLetters.length === 1, { what: 'the hold' });
    await first.close();
    const second = await member();
    await appendEach(topic, [noted('c1', 4), noted('c2', 0)]);
    await waitFor(() => numbersOf(second.values, 'c2').length === 1, { what: 'the other customer' });
    expect(numbersOf(second.values, 'c1')).toEqual([]);
    await second.close();
    poison.failing = false;
    await holds.requestRetry('acme', holds.deadLetters[0]!);
    const third = await member();
    await waitFor(() => holds.size === 0, { what: 'the end of the hold' });
    expect(numbersOf(third.values, 'c1')).toEqual([1, 2, 3, 4]);
  });

  test('waits for nobody in a group that skips', async () => {
    const topic = await newTopic(1);
    const got = await consume([handlerOf(topic, { poison: 'skip' })], failsAt(1), { holds: new HoldsInMemory() });
    await appendEach(
      topic,
      range(4).map((n) => noted('c1', n)),
    );
    await waitFor(() => got.values.length === 3, { what: 'the other records' });
    expect(numbersOf(got.values, 'c1')).toEqual([0, 2, 3]);
  });

  test('its records wait in the log where nobody knows yet whether it is held, and are handled when that is known', async () => {
    const topic = await newTopic(1);
    const holds = new HoldsInMemory();
    const holdsOf = vi.spyOn(holds, 'holdsOf').mockRejectedValue(new StorageAway('away'));
    const got = await consume([handlerOf(topic, { poison: 'park-key' })], async () => undefined, { holds });
    await appendEach(
      topic,
      range(4).map((n) => noted('c1', n)),
    );
    await waitFor(() => holdsOf.mock.calls.length >= 3, { what: 'several tries' });
    expect(got.values).toEqual([]);
    holdsOf.mockRestore();
    await waitFor(() => got.values.length === 4, { what: 'the records' });
    expectOrdered(got.values);
  });
});

test('after a restart a group goes on behind its last finished record', async () => {
  const topic = await newTopic();
  const group = uniqueName('group');
  const first = await consume([handlerOf(topic, { group })]);
  await appendEach(
    topic,
    range(100).map((n) => noted(`c${n % 5}`, n)),
  );
  await waitFor(() => first.values.length === 100, { what: 'the first 100 records' });
  await first.close();
  await appendEach(
    topic,
    range(20).map((n) => noted(`c${n % 5}`, 100 + n)),
  );
  const second = await consume([handlerOf(topic, { group })]);
  await waitFor(() => second.values.length >= 20, { what: 'the 20 records after the restart' });
  expect(second.values.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(range(20).map((n) => 100 + n));
});

test('a record that is not finished when its process stops is handled again by the next one, those beside it are not', async () => {
  const topic = await newTopic(1);
  const group = uniqueName('group');
  const first = await consume(
    [handlerOf(topic, { group })],
    (value, { signal }) =>
      value.n !== 5
        ? Promise.resolve()
        : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    { drainTimeoutMs: 100 },
  );
  await appendEach(
    topic,
    range(10).map((n) => noted(`c${n}`, n)),
  );
  await waitFor(() => first.values.length === 9, { what: 'all but the one that hangs' });
  await first.close();
  const second = await consume([handlerOf(topic, { group })]);
  await appendEach(topic, [noted('c10', 10)]);
  await waitFor(() => second.values.length >= 2, { what: 'the unfinished record and a new one' });
  expect(second.values.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual([5, 10]);
});

describe('a commit whose offset somebody else wrote, beside the text of ours', () => {
  /** Ten records of which only the sixth is not finished, and the group's commit after `change`. Resolves with what is handled then. */
  async function handledAfter(change: (commit: { offset: string; metadata: string }) => { offset: string; metadata: string }) {
    const topic = await newTopic(1);
    const group = uniqueName('group');
    const first = await consume(
      [handlerOf(topic, { group })],
      (value, { signal }) =>
        value.n !== 5
          ? Promise.resolve()
          : new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      { drainTimeoutMs: 100 },
    );
    await appendEach(
      topic,
      range(10).map((n) => noted(`c${n}`, n)),
    );
    await waitFor(() => first.values.length === 9, { what: 'all but the one that hangs' });
    await first.close();
    const { offset, metadata } = await committed(topic, group);
    expect([offset, metadata]).toEqual(['5', expect.stringMatching(/^log=[\w-]{22} cluster=\S+ at=5 v1\|/)]);
    await write(topic, group, change({ offset, metadata }));
    const second = await consume([handlerOf(topic, { group })]);
    await appendEach(topic, [noted('c10', 10)]);
    await waitFor(() => second.values.some(({ n }) => n === 10) && second.values.some(({ n }) => n === 5), { what: 'the rest' });
    return second.values.map(({ n }) => n).toSorted((a, b) => a - b);
  }

  async function committed(topic: Topic, group: string): Promise<{ offset: string; metadata: string }> {
    const admin = raw.admin();
    await admin.connect();
    const [found] = await admin.fetchOffsets({ groupId: `${log.prefix}${group}`, topics: [onLog(topic)] });
    await admin.disconnect();
    const { offset, metadata } = found!.partitions[0]!;
    return { offset, metadata: metadata ?? '' };
  }

  async function write(topic: Topic, group: string, { offset, metadata }: { offset: string; metadata: string }): Promise<void> {
    const member = raw.consumer({ groupId: `${log.prefix}${group}` });
    await member.connect();
    await member.subscribe({ topic: onLog(topic) });
    const joined = new Promise((resolve) => member.on(member.events.GROUP_JOIN, resolve));
    await member.run({ autoCommit: false, eachMessage: async () => undefined });
    await joined;
    await member.commitOffsets([{ topic: onLog(topic), partition: 0, offset, metadata }]);
    await member.disconnect();
  }

  const elsewhere = (metadata: string) => metadata.replace(/log=\S+/, 'log=bG9n').replace(/cluster=\S+/, 'cluster=elsewhere');

  test('as it was counts with all that is finished above it', async () => {
    expect(await handledAfter((commit) => commit)).toEqual([5, 10]);
  });

  test('at another offset, nothing counts as finished', async () => {
    expect(await handledAfter(({ metadata }) => ({ offset: '3', metadata }))).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('from another cluster, as MirrorMaker 2 writes it, counts without what is finished above it', async () => {
    expect(await handledAfter(({ metadata }) => ({ offset: '4', metadata: elsewhere(metadata) }))).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(await handledAfter(({ offset, metadata }) => ({ offset, metadata: elsewhere(metadata) }))).toEqual([5, 6, 7, 8, 9, 10]);
  });

  test('of a topic that was created anew does not count', async () => {
    const old = ({ offset, metadata }: { offset: string; metadata: string }) => ({
      offset,
      metadata: metadata.replace(/log=\S+/, 'log=bG9n'),
    });
    expect(await handledAfter(old)).toEqual(range(11));
  });
});

test('more urgent topics go first, and the others get their turns', async () => {
  const [high, low] = [{ ...(await newTopic(1)), priority: 'high' } as const, { ...(await newTopic(1)), priority: 'low' } as const];
  await appendEach(
    low,
    range(60).map((n) => noted(`slow${n}`, n)),
  );
  await appendEach(
    high,
    range(60).map((n) => noted(`urgent${n}`, 1_000 + n)),
  );
  const gate = Promise.withResolvers<void>();
  const group = uniqueName('group');
  const got = await consume([handlerOf([high, low], { group })], () => gate.promise, { concurrency: 1 });
  await waitFor(async () => (await metric('millrace_records_queued', { group })) === 119, {
    what: 'all but the record at work to be queued',
  });
  gate.resolve();
  await waitFor(() => got.values.length === 120, { what: 'all records' });
  const firstHalf = got.values.slice(1, 61).filter(({ n }) => n >= 1_000).length;
  expect(firstHalf).toBeGreaterThan(45);
  expect(firstHalf).toBeLessThan(60);
});

test('a handler that takes longer than the session timeout runs once', async () => {
  const topic = await newTopic(1);
  const got = await consume([handlerOf(topic)], ({ n }) => turn(n === 1 ? 7_500 : 0), { sessionTimeoutMs: 6_000 });
  await producer.append(topic, NumberNoted, noted('c1', 1));
  await waitFor(() => got.values.length === 1, { what: 'the slow handler', deadlineMs: 15_000 });
  await producer.append(topic, NumberNoted, noted('c2', 2));
  await waitFor(() => got.values.length === 2, { what: 'the next record', deadlineMs: 15_000 });
  expect(got.started).toBe(2);
});

test('members that join and leave under load lose nothing, repeat nothing that was finished, and keep every order', async () => {
  const topic = await newTopic(8);
  const group = uniqueName('group');
  const handled: NumberNoted[] = [];
  const member = () =>
    consume([handlerOf(topic, { group })], async (value) => {
      await turn(2);
      handled.push(value);
    });
  let records = 0;
  const enough = new AbortController();
  const appending = (async () => {
    for (; !enough.signal.aborted; records += 40) {
      await Promise.all(range(40).map((at) => producer.append(topic, NumberNoted, noted(`c${at}`, records + at))));
    }
  })();
  const atWork = (one: Consumed) => {
    const before = one.values.length;
    return waitFor(() => one.values.length > before + 50, { what: 'a member at work', deadlineMs: 20_000 });
  };
  const first = await member();
  await atWork(first);
  const second = await member();
  await Promise.all([atWork(first), atWork(second)]);
  await first.close();
  const third = await member();
  await Promise.all([atWork(second), atWork(third)]);
  enough.abort();
  await appending;
  await waitFor(() => handled.length >= records, { what: `${records} records`, deadlineMs: 30_000 });
  expect(handled).toHaveLength(records);
  expect(new Set(handled.map(({ n }) => n)).size).toBe(records);
  expectOrdered(handled);
});

test('a consumer reads no more than it may keep, and goes on when there is room', async () => {
  const topic = await newTopic(1);
  const open = Promise.withResolvers<void>();
  const group = uniqueName('group');
  const got = await consume([handlerOf(topic, { group })], () => open.promise, { concurrency: 1, maxBufferedBytes: 100_000 });
  for (const wave of range(50)) {
    await appendEach(
      topic,
      range(20).map((n) => ({ ...noted('c1', 20 * wave + n), padding: 'x'.repeat(1_000) })),
    );
  }
  await waitFor(async () => (await metric('millrace_records_queued', { group })) > 0, { what: 'a full buffer' });
  await waitFor(async () => (await metric('millrace_consumer_lag_records', { group, topic: onLog(topic) })) === 1_000, { what: 'the lag' });
  expect(await metric('millrace_records_queued', { group })).toBeLessThan(300);
  open.resolve();
  await waitFor(() => got.values.length === 1_000, { what: 'all records' });
  expectOrdered(got.values);
});

test('open records are those that the group has still to handle, without what is finished above a slow one', async () => {
  const topic = await newTopic(1);
  const open = Promise.withResolvers<void>();
  const group = uniqueName('group');
  const got = await consume([handlerOf(topic, { group })], ({ n }) => (n === 0 ? open.promise : Promise.resolve()));
  await producer.append(topic, NumberNoted, noted('slow', 0));
  await appendEach(
    topic,
    range(50).map((n) => noted(`c${n}`, n + 1)),
  );
  await waitFor(() => got.values.length === 50, { what: 'the records behind the slow one' });
  await waitFor(async () => (await metric('millrace_consumer_lag_records', { group, topic: onLog(topic) })) === 51, { what: 'the lag' });
  expect(await metric('millrace_open_records', { group })).toBe(1);
  expect(await metric('millrace_oldest_open_record_seconds', { group })).toBeGreaterThan(0);
  open.resolve();
  await waitFor(async () => (await metric('millrace_open_records', { group })) === 0, { what: 'no open record' });
  expect(await metric('millrace_oldest_open_record_seconds', { group })).toBe(0);
});

test('what one tenant has under way and waiting in a partition keeps no other tenant waiting, however large it is', async () => {
  const topic = await newTopic(1);
  const open = Promise.withResolvers<void>();
  const work: Work = ({ tenant }) => (tenant === 'greedy' ? open.promise : Promise.resolve());
  const got = await consume([handlerOf(topic, { poison: 'park-key' })], work, { maxBufferedBytes: 100_000, holds: new HoldsInMemory() });
  const ofPatient = (n: number) =>
    waitFor(() => got.values.some((value) => value.tenant === 'acme' && value.n === n), { what: `record ${n}` });
  await producer.append(topic, NumberNoted, noted('c1', 1));
  await ofPatient(1);
  const large = range(300).map((n) => ({ ...noted(`g${n}`, n), tenant: 'greedy', padding: 'x'.repeat(10_000) }));
  await appendEach(topic, large);
  await producer.append(topic, NumberNoted, noted('c1', 2));
  await ofPatient(2);
  expect(got.values.filter(({ tenant }) => tenant === 'greedy')).toEqual([]);
  open.resolve();
  await waitFor(() => got.values.length === 302, { what: 'all records' });
});

test('a topic with an audience of every process reaches each of them, from the newest record on', async () => {
  const topic = await newTopic();
  await producer.append(topic, NumberNoted, noted('c1', 1));
  const both = [
    await consume([handlerOf(topic, { audience: 'every-process' })]),
    await consume([handlerOf(topic, { audience: 'every-process' })]),
  ];
  await producer.append(topic, NumberNoted, noted('c1', 2));
  for (const got of both) {
    await waitFor(() => got.values.length > 0, { what: 'the new record' });
    expect(got.values).toEqual([noted('c1', 2)]);
  }
});

test('of a topic for every process, only records of tenants that somebody listens for are handled', async () => {
  const topic = await newTopic(1);
  const listeners = new Listeners();
  const group = uniqueName('group');
  const got = await consume([handlerOf(topic, { group, audience: 'every-process' })], undefined, { listeners });
  const others = { ...noted('c1', 1), tenant: 'other' };
  await producer.append(topic, NumberNoted, others);
  listeners.add('acme');
  await appendEach(topic, [noted('c1', 2), others, noted('c1', 3)]);
  await waitFor(() => got.values.length === 2, { what: 'the records of the tenant' });
  listeners.remove('acme');
  listeners.add('other');
  await appendEach(topic, [noted('c1', 4), others]);
  await waitFor(() => got.values.length === 3, { what: 'the record of the other one' });
  expect(got.values).toEqual([noted('c1', 2), noted('c1', 3), others]);
  expect(await metric('millrace_records_handled_total', { group, topic: onLog(topic), outcome: 'ok' })).toBe(3);
});

test('a handler works in the trace its record was appended in', async () => {
  const topic = await newTopic();
  let handled: string | null = null;
  await consume([handlerOf(topic)], async () => {
    handled = traceIdOf(currentTraceparent());
  });
  const appended = await inSpan('append', {}, async () => {
    await producer.append(topic, NumberNoted, noted('c1', 1));
    return traceIdOf(currentTraceparent());
  });
  expect(appended).not.toBeNull();
  await waitFor(() => handled === appended, { what: 'the handler in the same trace' });
});

test('handlers that do not fit together stop the process', async () => {
  const topic = await newTopic();
  const group = uniqueName('group');
  await expect(consume([handlerOf(topic, { group }), handlerOf(topic, { group })])).rejects.toThrow(/already handles number\.noted\.v1/);
});

test('a log that is away is said to be, in time, by append and by ready', async () => {
  const lost = new RecordProducer({ brokers: [`127.0.0.1:${await closedPort()}`], clientId: 'lost', ackTimeoutMs: 300 });
  await expect(lost.connect()).rejects.toThrow(LogUnavailable);
  await expect(lost.ready()).rejects.toThrow(LogUnavailable);
  const topic: Topic = { name: uniqueName('nowhere'), partitions: 1, retentionMs: 60_000, types: [NumberNoted] };
  await expect(lost.append(topic, NumberNoted, noted('c1', 1))).rejects.toMatchObject({
    code: 'log.unavailable',
    outcome: 'retry',
    ours: true,
  });
  await lost.disconnect();
});

test('a producer that reaches its log is ready, and one that was closed is not', async () => {
  const own = new RecordProducer(log);
  await expect(own.ready()).rejects.toThrow(LogUnavailable);
  await own.connect();
  await own.ready();
  const topic = await newTopic(1);
  const last = own.append(topic, NumberNoted, noted('c1', 1));
  await own.disconnect();
  expect((await last).offset).toBe('0');
  await expect(own.append(topic, NumberNoted, noted('c1', 2))).rejects.toThrow(/this process is stopping/);
  await expect(own.ready()).rejects.toThrow(LogUnavailable);
});

test('another installation on the same brokers has a log of its own', async () => {
  const topic = await newTopic();
  const others = { ...log, prefix: `${uniqueName('other')}.` };
  await ensureTopics(others, [topic]);
  const theirs = new RecordProducer(others);
  await theirs.connect();
  const [ours, other] = [await consume([handlerOf(topic)]), await consume([handlerOf(topic)], async () => undefined, others)];
  await theirs.append(topic, NumberNoted, noted('c1', 1));
  await producer.append(topic, NumberNoted, noted('c1', 2));
  await waitFor(() => ours.values.length > 0 && other.values.length > 0, { what: 'both records' });
  expect([ours.values, other.values]).toEqual([[noted('c1', 2)], [noted('c1', 1)]]);
  await theirs.disconnect();
});

test('topics are created once, and never with another count of partitions', async () => {
  const topic = await newTopic(3);
  await ensureTopics(log, [topic]);
  await expect(ensureTopics(log, [{ ...topic, partitions: 4 }])).rejects.toThrow(
    `${onLog(topic)} has 3 partitions, this version appends to 4. Keys would change partitions`,
  );
});

// Helpers of the tests above.

class StorageAway extends DomainError {
  readonly code: FailureCode = 'storage.unavailable';
  override readonly ours = true;
}

function noted(customer: string, n: number): NumberNoted {
  return { tenant: 'acme', customer, n };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, n) => n);
}

/** Work that takes its time. */
function turn(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function newTopic(partitions = 4): Promise<Topic> {
  const topic: Topic = { name: uniqueName('topic'), partitions, retentionMs: 3_600_000, types: [NumberNoted, Ignored] };
  await ensureTopics(log, [topic]);
  return topic;
}

/** All at once; calls of one caller keep their order. */
async function appendEach(topic: Topic, values: readonly NumberNoted[]): Promise<void> {
  await Promise.all(values.map((value) => producer.append(topic, NumberNoted, value)));
}

function expectOrdered(values: readonly NumberNoted[]): void {
  for (const ofCustomer of Map.groupBy(values, recordKey).values()) {
    const order = ofCustomer.map(({ n }) => n);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
}

type Work = (value: NumberNoted, context: RecordContext) => Promise<void>;

/** A controller class with one handler, whose work is given to `consume`. */
function handlerOf(
  topic: Topic | readonly Topic[],
  { type = NumberNoted, ...options }: Partial<OnRecordOptions> & { type?: RecordType<NumberNoted> } = {},
): (work: Work) => Type {
  return (work) => {
    @Controller()
    class Noting {
      @OnRecord(topic, type, { group: uniqueName('group'), ...options })
      onNumber(value: NumberNoted, context: RecordContext): Promise<void> {
        return work(value, context);
      }
    }
    return Noting;
  };
}

interface Consumed {
  /** Handled values, in the order in which their handlers ended. */
  readonly values: NumberNoted[];
  readonly contexts: RecordContext[];
  /** Number of handlers that began. */
  started: number;
  close(): Promise<void>;
}

async function consume(
  handlers: readonly ((work: Work) => Type)[],
  work: Work = async () => undefined,
  options: Partial<LogConsumerOptions> = {},
): Promise<Consumed> {
  const consumer = new LogConsumer({ ...log, producer, retry: quickRetry, commitIntervalMs: 100, ...options });
  const consumed: Consumed = { values: [], contexts: [], started: 0, close: () => app.close() };
  const note: Work = async (value, context) => {
    consumed.started += 1;
    await work(value, context);
    consumed.values.push(value);
    consumed.contexts.push(context);
  };
  @Module({ controllers: handlers.map((handler) => handler(note)) })
  class Process {}
  const app = await NestFactory.createMicroservice(Process, { strategy: consumer, logger: false });
  running.push(consumed);
  await app.listen();
  await consumer.ready();
  return consumed;
}

interface RawRecord {
  partition: number;
  offset: string;
  key: string | undefined;
  value: unknown;
  headers: Record<string, string>;
}

/** The first `count` records of a topic, by partition and offset, with a client that knows nothing of this library. */
async function readAll(topic: Topic, count: number): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  const consumer = raw.consumer({ groupId: uniqueName('raw'), maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic: onLog(topic), fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message: { offset, key, value, headers } }) => {
      records.push({ partition, offset, key: key?.toString(), value: JSON.parse(value!.toString()), headers: texts(headers) });
    },
  });
  await waitFor(() => records.length >= count, { what: `${count} records of ${topic.name}` });
  await consumer.disconnect();
  return records.toSorted((a, b) => a.partition - b.partition || Number(a.offset) - Number(b.offset));
}

function texts(headers: IHeaders = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([header, value]) => [header, String(value)]));
}

async function endOf(topic: Topic): Promise<number> {
  const admin = raw.admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(onLog(topic));
  await admin.disconnect();
  return offsets.reduce((sum, { high }) => sum + Number(high), 0);
}

/** The dead letters of a topic's records; the topic they stand on is shared with every other test. */
async function deadLettersOf(topic: Topic, count: number): Promise<DeadLettered[]> {
  const letters: DeadLettered[] = [];
  const consumer = raw.consumer({ groupId: uniqueName('raw'), maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic: onLog(topics.deadLetters), fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const letter = DeadLettered.check.parse(JSON.parse(message.value!.toString()));
      if (letter.position?.startsWith(`${onLog(topic)}/`)) letters.push(letter);
    },
  });
  await waitFor(() => letters.length >= count, { what: `${count} dead letters of ${topic.name}` });
  await consumer.disconnect();
  return letters;
}

async function batchesSent(): Promise<number> {
  const found = await registry.getSingleMetric('millrace_append_batch_records')!.get();
  return found.values.find((value) => 'metricName' in value && value.metricName === 'millrace_append_batch_records_count')?.value ?? 0;
}

async function metric(metricName: string, labels: Record<string, string>): Promise<number> {
  const found = await registry.getSingleMetric(metricName)!.get();
  return found.values.find((value) => Object.entries(labels).every(([label, text]) => value.labels[label] === text))?.value ?? 0;
}

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Connections whose next response can be lost: the request arrives, and the connection breaks before the client gets the response. */
function breakableConnections() {
  const state = { armed: false, lost: 0 };
  return {
    loseNextAnswer: () => {
      state.armed = true;
    },
    get answersLost() {
      return state.lost;
    },
    socketFactory: ({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }): Socket => {
      const socket = connect({ host, port }, onConnect);
      const emit = socket.emit.bind(socket) as (event: string | symbol, ...values: unknown[]) => boolean;
      socket.emit = (event: string | symbol, ...values: unknown[]): boolean => {
        if (event !== 'data' || !state.armed) return emit(event, ...values);
        state.armed = false;
        state.lost += 1;
        socket.destroy(new Error('the connection broke before the answer came'));
        return true;
      };
      return socket;
    },
  };
}
