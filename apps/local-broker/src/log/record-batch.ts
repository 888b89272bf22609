import { crc32c } from '#libs/checksums';

/**
 * The header of a record batch, format 2: https://kafka.apache.org/documentation/#recordbatch. The broker never looks at the records: it
 * numbers the batch (the two fields before the checksum) and stores the rest as it came.
 */
export interface BatchHeader {
  baseOffset: number;
  /** Of the whole batch, header included. */
  bytes: number;
  lastOffset: number;
  producerId: number;
  producerEpoch: number;
  firstSequence: number;
  lastSequence: number;
}

export const headerBytes = 61;
/** Base offset and length: what stands before the part whose length the length counts. */
const prefixBytes = 12;
const checksummedFrom = 21;

/** The header at the start of `data`; undefined where no such header can start (a torn write, or not a batch at all). */
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
    producerId: Number(data.readBigInt64BE(43)),
    producerEpoch: data.readInt16BE(51),
    firstSequence,
    lastSequence: (firstSequence + lastOffsetDelta) % 2 ** 31,
  };
}

/** Whether `batch`, complete, is what its producer sent. */
export function isIntact(batch: Buffer): boolean {
  return crc32c(batch.subarray(checksummedFrom)) === batch.readUInt32BE(17);
}

/** Gives the batch its place in the partition; the checksum covers neither field. */
export function placeAt(batch: Buffer, baseOffset: number): void {
  batch.writeBigInt64BE(BigInt(baseOffset), 0);
  batch.writeInt32BE(0, 12);
}
