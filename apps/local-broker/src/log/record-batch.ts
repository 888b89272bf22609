import { crc32c } from '#libs/checksums';

/**
 * The header of a record batch, format 2: https://kafka.apache.org/documentation/#recordbatch. The broker does not read the
 * records: it sets the offset and the leader epoch, which the checksum does not cover, and stores the rest unchanged.
 */
export interface BatchHeader {
  baseOffset: number;
  /** Size of the whole batch, header included. */
  bytes: number;
  lastOffset: number;
  firstTimestampMs: number;
  /** The highest timestamp of its records; -1 if they have none. */
  maxTimestampMs: number;
  producerId: number;
  producerEpoch: number;
  firstSequence: number;
  lastSequence: number;
}

export const headerBytes = 61;
/** Size of base offset and length, which the length field does not count. */
const prefixBytes = 12;
const checksummedFrom = 21;

/** Reads the header at the start of `data`; undefined if there is none (a torn write, or not a batch at all). */
export function readHeader(data: Buffer): BatchHeader | undefined {
  if (data.length < headerBytes || data.readInt8(16) !== 2) return undefined;
  const bytes = data.readInt32BE(8) + prefixBytes;
  const lastOffsetDelta = data.readInt32BE(23);
  if (bytes < headerBytes || lastOffsetDelta < 0) return undefined;
  const baseOffset = Number(data.readBigInt64BE(0));
  const firstSequence = data.readInt32BE(53);
  return {
    baseOffset,
    bytes,
    lastOffset: baseOffset + lastOffsetDelta,
    firstTimestampMs: Number(data.readBigInt64BE(27)),
    maxTimestampMs: Number(data.readBigInt64BE(35)),
    producerId: Number(data.readBigInt64BE(43)),
    producerEpoch: data.readInt16BE(51),
    firstSequence,
    lastSequence: (firstSequence + lastOffsetDelta) % 2 ** 31,
  };
}

/** The bits of the attributes that name the compression. */
const compressionMask = 0b111;

/**
 * Finds the first record at or after a time; undefined if all are before it. For compressed records, the first record of the batch.
 * https://kafka.apache.org/documentation/#record
 */
export function recordAt(batch: Buffer, timestampMs: number): { offset: number; timestampMs: number } | undefined {
  const { baseOffset, firstTimestampMs, maxTimestampMs } = readHeader(batch)!;
  if (maxTimestampMs < timestampMs) return undefined;
  if ((batch.readInt16BE(21) & compressionMask) !== 0) return { offset: baseOffset, timestampMs: firstTimestampMs };
  for (let at = headerBytes; at < batch.length;) {
    const length = varintAt(batch, at);
    const timestampDelta = varintAt(batch, length.next + 1); // behind the attributes
    const recordMs = firstTimestampMs + timestampDelta.value;
    if (recordMs >= timestampMs) return { offset: baseOffset + varintAt(batch, timestampDelta.next).value, timestampMs: recordMs };
    at = length.next + length.value;
  }
  return undefined;
}

/** Decodes a zig-zag varint of up to 64 bits. */
function varintAt(data: Buffer, from: number): { value: number; next: number } {
  let encoded = 0;
  let at = from;
  for (let weight = 1; ; weight *= 128) {
    const byte = data[at++]!;
    encoded += (byte & 0x7f) * weight;
    if (byte < 0x80) break;
  }
  return { value: encoded % 2 === 0 ? encoded / 2 : -(encoded + 1) / 2, next: at };
}

/** Checks a complete batch against the checksum of its producer. */
export function isIntact(batch: Buffer): boolean {
  return crc32c(batch.subarray(checksummedFrom)) === batch.readUInt32BE(17);
}

/** Sets base offset and leader epoch; the checksum covers neither field. */
export function placeAt(batch: Buffer, baseOffset: number): void {
  batch.writeBigInt64BE(BigInt(baseOffset), 0);
  batch.writeInt32BE(0, 12);
}

export function isPlacedAt(batch: Buffer, baseOffset: number): boolean {
  return batch.readBigInt64BE(0) === BigInt(baseOffset) && batch.readInt32BE(12) === 0;
}
