import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { CompressionTypes } from 'kafkajs';
import type { Message } from 'kafkajs';
import { encodeProduceRequest } from './produce-request.js';
import type { ProduceRequest, ProducedRecord } from './produce-request.js';

/**
 * Six repairs of kafkajs 2.2.4, made once per process when this file is loaded. kafkajs is no longer released, so they live here, where a
 * test sees them and a newcomer finds them, rather than in a fork or in a patched node_modules.
 */

const require = createRequire(import.meta.url);

interface RequestQueue {
  pending: unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
}

/**
 * Every response re-arms a timer even where nothing waits to be sent, with a negative delay that Node turns into 1 ms: each idle connection
 * spins, and Node 24 prints TimeoutNegativeWarning. https://github.com/tulios/kafkajs/issues/1751, fixed in the unmerged
 * https://github.com/tulios/kafkajs/pull/1755; here the timer exists only while requests wait.
 */
function stopIdleTimers(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: object };
  Object.assign(prototype, {
    scheduleCheckPendingRequests(this: RequestQueue): void {
      if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
      const throttledMs = this.throttledUntil - Date.now();
      this.throttleCheckTimeoutId = setTimeout(
        () => {
          this.throttleCheckTimeoutId = null;
          this.checkPendingRequests();
        },
        throttledMs > 0 ? throttledMs : 10,
      );
    },
  });
}

/** Who a consumer is to its group's coordinator. */
export interface MemberGeneration {
  readonly memberId: string;
  readonly generationId: number;
}

/** What an assigner may have besides kafkajs' own methods: it is the one object that we hand to kafkajs and that its consumer group knows. */
export interface GroupListener {
  /** Awaited before this consumer joins again. @param isMember false where the group has gone on without it */
  beforeRejoin?(isMember: boolean): Promise<void>;
  /** False once the consumer is being stopped, so that a log that is away is not waited for. */
  mayJoin?(): boolean;
  /** Set by the consumer group: who it is, also while it tells of a join. */
  membership?: () => MemberGeneration;
}

interface KafkajsConsumerGroup {
  memberId: string | null;
  generationId: number;
  assigners: readonly GroupListener[];
  heartbeat(options: { interval: number }): Promise<void>;
  joinAndSync(): Promise<void>;
  fetch(nodeId: string): Promise<unknown>;
}

/** Between two tries to join again. */
const joinPauseMs = 500;
/** How often a member that waits before it joins again says that it lives; the shortest session is 6 s. */
const waitingBeatMs = 1_500;

/**
 * kafkajs joins again as soon as it hears of a rebalance and has no hook for what must happen before (no `onPartitionsRevoked`:
 * https://github.com/tulios/kafkajs/issues/1222). Records in flight would be handled by the next owner at the same time. With this, a member
 * first awaits `beforeRejoin` of its assigner, and keeps its session meanwhile.
 *
 * A join that breaks off because the broker is away ends, in kafkajs, as a failed fetch, after which it fetches on as the member it was, and no
 * join is ever told of: whoever waits for that would wait for ever. So it is tried here until it succeeds.
 */
function waitBeforeRejoin(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: KafkajsConsumerGroup };
  const joinAndSync = Reflect.get(prototype, 'joinAndSync');
  prototype.joinAndSync = async function (this: KafkajsConsumerGroup): Promise<void> {
    const isMember = Boolean(this.memberId);
    // Answered with "rebalance in progress", and counted as a sign of life all the same.
    const beat = isMember && setInterval(() => void this.heartbeat({ interval: 0 }).catch(() => undefined), waitingBeatMs);
    try {
      for (const assigner of this.assigners) {
        assigner.membership = () => ({ memberId: this.memberId ?? '', generationId: this.generationId });
        await assigner.beforeRejoin?.(isMember);
      }
    } finally {
      if (beat) clearInterval(beat);
    }
    await joinUntilJoined(this, () => joinAndSync.call(this));
  };
}

async function joinUntilJoined(group: KafkajsConsumerGroup, join: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await join();
    } catch (error) {
      const isPassing = error instanceof Error && 'retriable' in error && error.retriable === true; // a KafkaJSError says so of itself
      if (!isPassing || !group.assigners.every((listener) => listener.mayJoin?.() ?? false)) throw error;
    }
    await delay(joinPauseMs);
  }
}

/** Between the beginnings of two fetches of a group from a broker. One that waited so long for its first record is followed at once. */
const fetchEveryMs = 25;

/**
 * Kafka answers a fetch with the first record that comes, and kafkajs fetches again at once: under a steady load that is a fetch for every
 * record, and each costs a millisecond in all, on both sides, for the partitions it asks for. Paced, it brings what came meanwhile; a record
 * that comes after a pause is still answered at once.
 */
function paceFetches(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: KafkajsConsumerGroup };
  const fetch = Reflect.get(prototype, 'fetch');
  const beganAtMs = new WeakMap<KafkajsConsumerGroup, Map<string, number>>();
  prototype.fetch = async function (this: KafkajsConsumerGroup, nodeId: string): Promise<unknown> {
    const began = beganAtMs.get(this) ?? new Map<string, number>();
    beganAtMs.set(this, began);
    const waitMs = (began.get(nodeId) ?? -Infinity) + fetchEveryMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    began.set(nodeId, performance.now());
    return fetch.call(this, nodeId);
  };
}

interface Runner {
  readonly running: boolean;
  readonly fetchManager: { stop(): Promise<void> };
  fetch(nodeId: string): Promise<unknown>;
}

/**
 * Where a broker came or went, kafkajs replaces its fetchers as soon as each has ended, also when the consumer is told to stop meanwhile. The new
 * ones belong to a consumer that does not run: each fetch of theirs is answered with nothing, at once, and they fetch on without ever giving
 * way to a timer, an answer or a signal. The process uses up a core, and only SIGKILL ends it.
 */
function endFetchersOfStopped(): void {
  const { prototype } = require('kafkajs/src/consumer/runner.js') as { prototype: Runner };
  const fetch = Reflect.get(prototype, 'fetch');
  prototype.fetch = function (this: Runner, nodeId: string): Promise<unknown> {
    if (!this.running) void this.fetchManager.stop(); // not awaited: it waits for this very fetch
    return fetch.call(this, nodeId);
  };
}

/** As kafkajs' types have it, more than a {@link ProduceRequest} can say. */
interface ProduceArguments extends Omit<ProduceRequest, 'topicData'> {
  compression: CompressionTypes;
  transactionalId?: string;
  topicData: { topic: string; partitions: { partition: number; firstSequence: number; messages: Message[] }[] }[];
}

interface KafkajsRequest {
  apiVersion: number;
  encode(): Promise<Encoder>;
}

interface Encoder {
  buf: Buffer;
  offset: number;
  /** Free bytes in the memory before `buf`; left out: none. */
  roomBytes?: number;
}

interface Definitions {
  protocol: (options: { version: number }) => (produced: ProduceArguments) => { request: KafkajsRequest; response: object };
}

/**
 * kafkajs makes an encoder with a buffer of 512 bytes for each header of each record, and an array for each length: 25 µs for a record that
 * can be written in 4. What RecordProducer never sends (compressed, in a transaction, with timestamps or repeated headers) is left to kafkajs.
 */
function writeRecordsAtOnce(): void {
  const definitions = require('kafkajs/src/protocol/requests/produce/index.js') as Definitions;
  const KafkajsEncoder = require('kafkajs/src/protocol/encoder.js') as new (bytes: number) => Encoder;
  const { protocol } = definitions;
  definitions.protocol = (options) => {
    const make = protocol(options);
    if (options.version !== 7) return make;
    return (produced) => {
      const made = make(produced);
      if (!isPlain(produced)) return made;
      const encode = async (): Promise<Encoder> => {
        const bytes = encodeProduceRequest(produced, Date.now(), frontBytes);
        return Object.assign(new KafkajsEncoder(1), { buf: bytes, offset: bytes.length, roomBytes: frontBytes });
      };
      return { ...made, request: { ...made.request, encode } };
    };
  };
}

/** Of the length and the header of a request, where the client's id is no longer than one expects; else kafkajs does as it always did. */
const frontBytes = 128;

/**
 * kafkajs puts the header before a request, and the length before both, by copying all of it twice into memory that it fills with zeros first.
 * Here they are put where room was left for them.
 */
function writeInFront(): void {
  const { prototype } = require('kafkajs/src/protocol/encoder.js') as {
    prototype: { writeEncoder(this: Encoder, body: Encoder): Encoder };
  };
  const writeEncoder = Reflect.get(prototype, 'writeEncoder');
  prototype.writeEncoder = function (body) {
    if (body.roomBytes === undefined || body.roomBytes < this.offset) return writeEncoder.call(this, body);
    const whole = Buffer.from(body.buf.buffer, body.buf.byteOffset - this.offset, this.offset + body.offset);
    this.buf.copy(whole, 0, 0, this.offset);
    return Object.assign(this, { buf: whole, offset: whole.length, roomBytes: body.roomBytes - this.offset });
  };
}

function isPlain(produced: ProduceArguments): produced is ProduceArguments & ProduceRequest {
  if (produced.compression !== CompressionTypes.None || produced.transactionalId !== undefined) return false;
  return produced.topicData.every(({ partitions }) => partitions.every(({ messages }) => messages.every(isPlainRecord)));
}

function isPlainRecord(message: Message): message is Message & ProducedRecord {
  if ('encoded' in message) return true;
  if (message.timestamp !== undefined) return false;
  for (const name in message.headers) if (Array.isArray(message.headers[name])) return false;
  return true;
}

stopIdleTimers();
waitBeforeRejoin();
paceFetches();
endFetchersOfStopped();
writeRecordsAtOnce();
writeInFront();
