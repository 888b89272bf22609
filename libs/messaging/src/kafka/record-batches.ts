/**
 * Reads record batches of the current format (magic 2) that are neither compressed nor part of a transaction, which is what Millrace and most producers
 * write. kafkajs reads a record through a dozen decoders and copies its headers once for each of them: about 20 µs where 2 are enough.
 * https://kafka.apache.org/documentation/#recordbatch
 */

/** A record as kafkajs hands it on. Offset and timestamp are decimal. */
export interface ReadRecord {
  readonly offset: string;
  readonly timestamp: string;
  readonly attributes: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** A header that occurs several times has all its values. */
  readonly headers: Record<string, Buffer | null | (Buffer | null)[]>;
  readonly isControlRecord: boolean;
}

/** Bytes of a batch before its records. */
const headBytes = 61;
/** Bytes of a batch that its length does not count. */
const uncountedBytes = 12;
const at = { length: 8, magic: 16, attributes: 21, lastOffsetDelta: 23, baseTimestamp: 27, maxTimestamp: 35, count: 57 } as const;
const magic = 2;
/** Compression, transaction, control batch. */
const special = 0b11_0111;
const appendTime = 0b1000;

/** @returns undefined where a batch needs more than this reader knows */
export function readRecords(bytes: Buffer): ReadRecord[] | undefined {
  const records: ReadRecord[] = [];
  // The last batch may be cut off: a response has a limit.
  for (let start = 0; start + headBytes <= bytes.length;) {
    const end = start + uncountedBytes + bytes.readInt32BE(start + at.length);
    if (bytes[start + at.magic] !== magic) return undefined;
    const attributes = bytes.readInt16BE(start + at.attributes);
    if ((attributes & special) !== 0) return undefined;
    if (end > bytes.length) break;
    readBatch(bytes, start, attributes, records);
    start = end;
  }
  return records;
}

/** The offset after the last complete batch; undefined where there is none. */
export function offsetAfter(bytes: Buffer): number | undefined {
  let next: number | undefined;
  for (let start = 0; start + headBytes <= bytes.length && bytes[start + at.magic] === magic;) {
    const end = start + uncountedBytes + bytes.readInt32BE(start + at.length);
    if (end > bytes.length) break;
    next = Number(bytes.readBigInt64BE(start)) + bytes.readInt32BE(start + at.lastOffsetDelta) + 1;
    start = end;
  }
  return next;
}

function readBatch(bytes: Buffer, start: number, batchAttributes: number, records: ReadRecord[]): void {
  const baseOffset = Number(bytes.readBigInt64BE(start));
  const isAppendTime = (batchAttributes & appendTime) !== 0;
  const baseTimestamp = Number(bytes.readBigInt64BE(start + (isAppendTime ? at.maxTimestamp : at.baseTimestamp)));
  const cursor = new Cursor(bytes, start + headBytes);
  for (let left = bytes.readInt32BE(start + at.count); left > 0; left -= 1) {
    const next = cursor.varint() + cursor.position;
    const attributes = cursor.byte();
    const timestampDelta = cursor.varint();
    const offsetDelta = cursor.varint();
    records.push({
      offset: String(baseOffset + offsetDelta),
      timestamp: String(isAppendTime ? baseTimestamp : baseTimestamp + timestampDelta),
      attributes,
      key: cursor.bytes(),
      value: cursor.bytes(),
      headers: headersAt(cursor),
      isControlRecord: false,
    });
    cursor.position = next;
  }
}

function headersAt(cursor: Cursor): ReadRecord['headers'] {
  const headers: ReadRecord['headers'] = Object.create(null) as ReadRecord['headers'];
  for (let left = cursor.varint(); left > 0; left -= 1) {
    const name = cursor.bytes()?.toString() ?? '';
    const value = cursor.bytes();
    const earlier = headers[name];
    headers[name] = earlier === undefined ? value : Array.isArray(earlier) ? [...earlier, value] : [earlier, value];
  }
  return headers;
}

class Cursor {
  constructor(
    private readonly buffer: Buffer,
    public position: number,
  ) {}

  byte(): number {
    return this.buffer.readInt8(this.position++);
  }

  /** A number in zigzag encoding, of up to 53 bits. */
  varint(): number {
    const first = this.buffer[this.position]!;
    if (first < 0x80) {
      this.position += 1;
      return (first >>> 1) ^ -(first & 1);
    }
    return this.longVarint();
  }

  private longVarint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.buffer[this.position++]!;
      if (shift < 28) low += (byte & 0x7f) * 2 ** shift;
      else high += (byte & 0x7f) * 2 ** (shift - 28);
      if (byte < 0x80) break;
    }
    const coded = low + high * 2 ** 28;
    return coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2;
  }

  /** A view of the bytes; null where there are none, which is not the same as zero bytes. */
  bytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.position;
    this.position += length;
    return this.buffer.subarray(from, this.position);
  }
}
