import { crc32c } from '#libs/checksums';

/** A produce request as kafkajs hands it to its encoder. */
export interface ProduceRequest {
  acks: number;
  timeout: number;
  /** An int64 in decimal. */
  producerId: string;
  producerEpoch: number;
  topicData: readonly { topic: string; partitions: readonly PartitionRecords[] }[];
}

interface PartitionRecords {
  partition: number;
  /** Sequence number of the first record in this partition. */
  firstSequence: number;
  messages: readonly ProducedRecord[];
}

/** A record to append. Text is written as UTF-8; key and value may be missing. */
export interface ProducedRecord {
  key?: Buffer | string | null;
  value: Buffer | string | null;
  headers?: Readonly<Record<string, Buffer | string>>;
}

/** A record that is encoded except for its length and its offset in the batch. */
export interface EncodedRecord extends ProducedRecord {
  readonly encoded: Buffer;
}

/** Encodes a record before its batch is known, so that sending the batch neither measures nor writes it again. */
export function encodedRecord(record: ProducedRecord & { value: string }): EncodedRecord {
  const valueBytes = Buffer.byteLength(record.value);
  const writer = new Writer(prefixedBytes(record.key) + varintBytes(valueBytes) + valueBytes + headersBytes(record));
  writer.varintBytes(record.key);
  writer.varint(valueBytes);
  const valueAt = writer.at;
  writer.at += writer.buffer.write(record.value, valueAt);
  const value = writer.buffer.subarray(valueAt, writer.at);
  writeHeaders(writer, record);
  return { key: record.key, value, headers: record.headers, encoded: writer.buffer };
}

/** Size of a record batch header, https://kafka.apache.org/documentation/#recordbatch. */
const batchHeaderBytes = 61;
/** Size of first offset and length, which the length field does not count. */
const batchPrefixBytes = 12;
const checksumAt = 17;
const checksummedFrom = 21;

/**
 * Encodes the body of a Produce request, version 7: one record batch (format 2, not compressed, in no transaction) for each partition.
 * Everything is measured first and then written once into one buffer.
 * @param nowMs the timestamp of all records
 * @param roomBytes bytes left free before the body, in the memory behind the returned buffer, for the header that kafkajs prepends
 */
export function encodeProduceRequest(request: ProduceRequest, nowMs: number, roomBytes = 0): Buffer {
  const bodies = request.topicData.map(({ partitions }) => partitions.map(({ messages }) => messages.map(bodyBytes)));
  const writer = new Writer(roomBytes + requestBytes(request, bodies));
  writer.at = roomBytes;
  writer.int16(-1); // no transactional id
  writer.int16(request.acks);
  writer.int32(request.timeout);
  writer.int32(request.topicData.length);
  for (const [at, { topic, partitions }] of request.topicData.entries()) {
    writer.text(topic);
    writer.int32(partitions.length);
    for (const [index, records] of partitions.entries()) {
      const sizes = bodies[at]![index]!;
      writer.int32(records.partition);
      writer.int32(batchBytes(sizes));
      writeBatch(writer, request, records, sizes, nowMs);
    }
  }
  return writer.buffer.subarray(roomBytes);
}

function requestBytes({ topicData }: ProduceRequest, bodies: readonly (readonly (readonly number[])[])[]): number {
  let bytes = 2 + 2 + 4 + 4;
  for (const [at, { topic, partitions }] of topicData.entries()) {
    bytes += 2 + Buffer.byteLength(topic) + 4;
    for (const index of partitions.keys()) bytes += 4 + 4 + batchBytes(bodies[at]![index]!);
  }
  return bytes;
}

function batchBytes(sizes: readonly number[]): number {
  return sizes.reduce((bytes, size) => bytes + varintBytes(size) + size, batchHeaderBytes);
}

function writeBatch(
  writer: Writer,
  { producerId, producerEpoch }: ProduceRequest,
  { messages, firstSequence }: PartitionRecords,
  sizes: readonly number[],
  nowMs: number,
): void {
  const start = writer.at;
  writer.int64(0n); // first offset: set by the broker
  writer.int32(batchBytes(sizes) - batchPrefixBytes);
  writer.int32(0); // leader epoch: set by the broker
  writer.int8(2); // format
  writer.int32(0); // checksum, written below
  writer.int16(0); // attributes: not compressed, in no transaction
  writer.int32(messages.length - 1);
  writer.int64(BigInt(nowMs));
  writer.int64(BigInt(nowMs));
  writer.int64(BigInt(producerId));
  writer.int16(producerEpoch);
  writer.int32(firstSequence);
  writer.int32(messages.length);
  for (let offset = 0; offset < messages.length; offset += 1) writeRecord(writer, messages[offset]!, offset, sizes[offset]!);
  writer.buffer.writeUInt32BE(crc32c(writer.buffer.subarray(start + checksummedFrom, writer.at)), start + checksumAt);
}

function writeRecord(writer: Writer, record: ProducedRecord | EncodedRecord, offset: number, size: number): void {
  writer.varint(size);
  writer.int8(0); // attributes: none are defined
  writer.varint(0); // milliseconds since the batch's first record
  writer.varint(offset);
  if ('encoded' in record) return writer.bytes(record.encoded);
  writer.varintBytes(record.key);
  writer.varintBytes(record.value);
  writeHeaders(writer, record);
}

function writeHeaders(writer: Writer, { headers = {} }: ProducedRecord): void {
  let count = 0;
  for (const _ in headers) count += 1;
  writer.varint(count);
  for (const name in headers) {
    writer.varintBytes(name);
    writer.varintBytes(headers[name]);
  }
}

/** Size of a record without its length field. */
function bodyBytes(record: ProducedRecord | EncodedRecord, offset: number): number {
  return 1 + 1 + varintBytes(offset) + ('encoded' in record ? record.encoded.length : contentBytes(record));
}

function contentBytes(record: ProducedRecord): number {
  return prefixedBytes(record.key) + prefixedBytes(record.value) + headersBytes(record);
}

function headersBytes({ headers = {} }: ProducedRecord): number {
  let bytes = 0;
  let count = 0;
  for (const name in headers) {
    bytes += prefixedBytes(name) + prefixedBytes(headers[name]);
    count += 1;
  }
  return bytes + varintBytes(count);
}

function prefixedBytes(content: Buffer | string | null | undefined): number {
  if (content === null || content === undefined) return varintBytes(-1);
  const bytes = Buffer.byteLength(content);
  return varintBytes(bytes) + bytes;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = zigZag(value) >>> 7; rest !== 0; rest >>>= 7) bytes += 1;
  return bytes;
}

/** Maps small negative numbers to small positive ones, so that their varints are short too. */
function zigZag(value: number): number {
  return (value << 1) ^ (value >> 31);
}

/** Up to this length, a loop writes ASCII text faster than `Buffer.write`. Headers are many short texts. */
const shortBytes = 64;

/** Writes Kafka's primitive types into a buffer of the measured size; it does not grow. */
class Writer {
  readonly buffer: Buffer;
  at = 0;

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafe(bytes);
  }

  int8(value: number): void {
    this.at = this.buffer.writeInt8(value, this.at);
  }

  int16(value: number): void {
    this.at = this.buffer.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.at = this.buffer.writeInt32BE(value, this.at);
  }

  int64(value: bigint): void {
    this.at = this.buffer.writeBigInt64BE(value, this.at);
  }

  text(value: string): void {
    this.int16(Buffer.byteLength(value));
    this.at += this.buffer.write(value, this.at);
  }

  varint(value: number): void {
    let rest = zigZag(value);
    for (; rest >>> 0 > 0x7f; rest >>>= 7) this.buffer[this.at++] = (rest & 0x7f) | 0x80;
    this.buffer[this.at++] = rest;
  }

  /** Writes a length and the bytes; length -1 stands for null. */
  varintBytes(content: Buffer | string | null | undefined): void {
    if (content === null || content === undefined) return this.varint(-1);
    const bytes = Buffer.byteLength(content);
    this.varint(bytes);
    if (typeof content !== 'string') this.bytes(content);
    else if (bytes === content.length && bytes <= shortBytes) this.shortAscii(content);
    else this.at += this.buffer.write(content, this.at);
  }

  shortAscii(content: string): void {
    const { buffer, at } = this;
    for (let index = 0; index < content.length; index += 1) buffer[at + index] = content.charCodeAt(index);
    this.at = at + content.length;
  }

  bytes(content: Buffer): void {
    this.buffer.set(content, this.at);
    this.at += content.length;
  }
}
