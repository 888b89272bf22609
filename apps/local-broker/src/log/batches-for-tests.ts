import { crc32c } from '#libs/checksums';
import { headerBytes, readHeader } from './record-batch.js';

export interface BatchOptions {
  payload?: string;
  producerId?: number;
  sequence?: number;
  /** Timestamp of all its records. */
  timestampMs?: number;
}

/** A batch as a producer would send it, up to its records: the broker does not look at them. */
export function batchOf(count: number, options: BatchOptions = {}): Buffer {
  const payload = Buffer.from(options.payload ?? 'records');
  const batch = Buffer.alloc(headerBytes + payload.length);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(2, 16);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(BigInt(options.timestampMs ?? -1), 27);
  batch.writeBigInt64BE(BigInt(options.timestampMs ?? -1), 35);
  batch.writeBigInt64BE(BigInt(options.producerId ?? -1), 43);
  batch.writeInt32BE(options.sequence ?? -1, 53);
  batch.writeInt32BE(count, 57);
  payload.copy(batch, headerBytes);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

/** First offset and payload of each batch in what was read. */
export function batchesIn(pieces: readonly Buffer[]): [offset: number, payload: string][] {
  const data = Buffer.concat(pieces);
  const found: [number, string][] = [];
  for (let at = 0; at < data.length;) {
    const header = readHeader(data.subarray(at))!;
    found.push([header.baseOffset, data.subarray(at + headerBytes, at + header.bytes).toString()]);
    at += header.bytes;
  }
  return found;
}
