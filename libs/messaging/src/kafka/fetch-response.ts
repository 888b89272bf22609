import { createRequire } from 'node:module';
import { offsetAfter, readRecords } from './record-batches.js';

/** Decodes version 11 of the Fetch response for kafkajs 2.2.4, with a reader of our own for the records. https://kafka.apache.org/protocol.html#The_Messages_Fetch */

const require = createRequire(import.meta.url);

export interface FetchedPartition {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  readonly abortedTransactions: readonly { readonly producerId: string; readonly firstOffset: string }[];
  readonly messages: readonly unknown[];
  /** The offset after the last record. After a compaction it can lie beyond the last message; undefined where nothing was sent. */
  readonly nextOffset?: number | undefined;
}

export interface FetchResponse {
  readonly errorCode: number;
  /** 0: the broker keeps no session. */
  readonly sessionId: number;
  readonly responses: readonly { readonly topicName: string; readonly partitions: readonly FetchedPartition[] }[];
}

const { parse } = require('kafkajs/src/protocol/requests/fetch/v11/response.js') as { parse: (decoded: unknown) => unknown };
const KafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => object;
/** Reads what is compressed, transactional or of an old format. */
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (decoder: object) => Promise<unknown[]>;

const sizeBytes = 4;

/** The decoder that a request of kafkajs carries. `parse` throws for the first partition in error. */
export const fetchResponse = { decode, parse };

async function decode(bytes: Buffer): Promise<object> {
  const reader = new Reader(bytes);
  const throttleMs = reader.int32();
  const errorCode = reader.int16();
  const sessionId = reader.int32();
  const responses: { topicName: string; partitions: FetchedPartition[] }[] = [];
  for (let topics = reader.int32(); topics > 0; topics -= 1) {
    const topicName = reader.string();
    const partitions: FetchedPartition[] = [];
    for (let left = reader.int32(); left > 0; left -= 1) partitions.push(await partitionAt(reader));
    responses.push({ topicName, partitions });
  }
  return { throttleTime: 0, clientSideThrottleTime: throttleMs, errorCode, sessionId, responses };
}

async function partitionAt(reader: Reader): Promise<FetchedPartition> {
  const partition = reader.int32();
  const errorCode = reader.int16();
  const highWatermark = reader.int64();
  reader.position += 16; // last stable offset, log start offset
  const abortedTransactions = [];
  for (let left = reader.int32(); left > 0; left -= 1)
    abortedTransactions.push({ producerId: reader.int64(), firstOffset: reader.int64() });
  reader.int32(); // preferred replica: no rack is named in the requests
  const records = reader.bytes();
  const messages =
    records.length === sizeBytes ? [] : (readRecords(records.subarray(sizeBytes)) ?? (await decodeMessages(new KafkajsDecoder(records))));
  return {
    partition,
    errorCode,
    highWatermark,
    abortedTransactions,
    messages,
    get nextOffset() {
      return records.length === sizeBytes ? undefined : offsetAfter(records.subarray(sizeBytes));
    },
  };
}

class Reader {
  position = 0;

  constructor(private readonly buffer: Buffer) {}

  int16(): number {
    this.position += 2;
    return this.buffer.readInt16BE(this.position - 2);
  }

  int32(): number {
    this.position += 4;
    return this.buffer.readInt32BE(this.position - 4);
  }

  /** In decimal. */
  int64(): string {
    this.position += 8;
    return String(this.buffer.readBigInt64BE(this.position - 8));
  }

  string(): string {
    const length = this.int16();
    this.position += length;
    return this.buffer.toString('utf8', this.position - length, this.position);
  }

  /** The bytes with the size before them; no bytes if the size is -1. */
  bytes(): Buffer {
    const from = this.position;
    const size = this.int32();
    this.position += Math.max(0, size);
    return this.buffer.subarray(from, this.position);
  }
}
