import { createRequire } from 'node:module';
import { fetchResponse } from './fetch-response.js';
import type { FetchResponse } from './fetch-response.js';

/**
 * Incremental fetches (KIP-227), which kafkajs 2.2.4 does not use: each of its requests names all partitions, and each response has all of them.
 * Within a session, a request names the partitions whose offset has changed, and the response has those with something new.
 * https://cwiki.apache.org/confluence/display/KAFKA/KIP-227%3A+Introduce+Incremental+FetchRequests+to+Increase+Partition+Scalability
 */

const require = createRequire(import.meta.url);

/** The offset that a partition is read from next. */
export interface FetchPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

export interface FetchLimits {
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
  readonly isolationLevel: number;
}

interface RequestedTopic {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
}

/** The part of kafkajs' broker that a session needs. */
export interface FetchBroker {
  readonly connectionPool: { send(request: object): Promise<unknown> };
  disconnect(): Promise<void>;
}

const noError = 0;
/** An ordinary consumer, not a replica. */
const replicaId = -1;
const maxEpoch = 2_147_483_647;
/** Time that a response may take beyond the wait at the broker, ms. */
const responseMs = 100;

const encode = require('kafkajs/src/protocol/requests/fetch/v11/request.js') as (request: object) => object;

/** The fetches of one consumer from one broker, one after the other. */
export class FetchSession {
  private id = 0;
  /** 0: the next request names all partitions, and begins a session. */
  private epoch = 0;
  /** The offsets that the broker knows from this session, by topic and partition. */
  private readonly told = new Map<string, Map<number, string>>();

  constructor(private readonly broker: FetchBroker) {}

  /** @throws what kafkajs throws; the next fetch begins a new session */
  async fetch(positions: readonly FetchPosition[], limits: FetchLimits): Promise<FetchResponse['responses']> {
    const { maxBytesPerPartition, ...rest } = limits;
    if (this.epoch === 0) this.told.clear();
    const topics = this.changed(positions, maxBytesPerPartition);
    const forgottenTopics = this.forgotten(positions);
    const { id: sessionId, epoch: sessionEpoch } = this;
    const request = encode({ replicaId, ...rest, topics, sessionId, sessionEpoch, forgottenTopics });
    try {
      const answer = (await this.send({
        request,
        response: fetchResponse,
        requestTimeout: limits.maxWaitTime + responseMs,
      })) as FetchResponse;
      if (answer.errorCode !== noError) this.begin(); // the broker does not know the session any more
      else this.goOn(answer.sessionId);
      return answer.responses;
    } catch (error) {
      this.begin();
      throw error;
    }
  }

  private begin(): void {
    this.id = 0;
    this.epoch = 0;
  }

  private goOn(sessionId: number): void {
    if (sessionId === 0) return this.begin();
    this.id = sessionId;
    this.epoch = this.epoch === maxEpoch ? 1 : this.epoch + 1;
  }

  private changed(positions: readonly FetchPosition[], maxBytes: number): RequestedTopic[] {
    const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>();
    for (const { topic, partition, offset } of rotated(positions)) {
      let told = this.told.get(topic);
      if (told === undefined) this.told.set(topic, (told = new Map()));
      if (told.get(partition) === offset) continue;
      told.set(partition, offset);
      const asked = { partition, fetchOffset: offset, maxBytes };
      const partitions = topics.get(topic);
      if (partitions === undefined) topics.set(topic, [asked]);
      else partitions.push(asked);
    }
    return [...topics].map(([topic, partitions]) => ({ topic, partitions }));
  }

  /** Partitions that are paused, or belong to another member now. */
  private forgotten(positions: readonly FetchPosition[]): { topic: string; partitions: number[] }[] {
    let count = 0;
    for (const told of this.told.values()) count += told.size;
    if (count === positions.length) return [];
    const wanted = new Set(positions.map(({ topic, partition }) => `${topic}/${partition}`));
    return [...this.told].flatMap(([topic, told]) => {
      const partitions = [...told.keys()].filter((partition) => !wanted.has(`${topic}/${partition}`));
      for (const partition of partitions) told.delete(partition);
      return partitions.length === 0 ? [] : [{ topic, partitions }];
    });
  }

  private async send(request: object): Promise<unknown> {
    try {
      return await this.broker.connectionPool.send(request);
    } catch (error) {
      if (error instanceof Error && error.name === 'KafkaJSConnectionClosedError') await this.broker.disconnect();
      throw error;
    }
  }
}

/** From another place each time: without a session, the first partitions could fill each response, and the last ones would never be read. */
function rotated<T>(values: readonly T[]): readonly T[] {
  const first = Math.floor(Math.random() * values.length);
  return [...values.slice(first), ...values.slice(0, first)];
}
