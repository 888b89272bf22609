/** Reads the primitive types of Kafka's protocol: https://kafka.apache.org/protocol.html#protocol_types */
export class WireReader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  int8(): number {
    return this.bytes.readInt8(this.advance(1));
  }

  int16(): number {
    return this.bytes.readInt16BE(this.advance(2));
  }

  int32(): number {
    return this.bytes.readInt32BE(this.advance(4));
  }

  /** Offsets, timestamps and producer ids all stay far below 2^53. */
  int64(): number {
    return Number(this.bytes.readBigInt64BE(this.advance(8)));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  string(): string {
    const text = this.nullableString();
    if (text === null) throw new RangeError('null where the protocol wants a string');
    return text;
  }

  nullableString(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.slice(length).toString();
  }

  /** A view, not a copy. */
  buffer(): Buffer {
    return this.slice(Math.max(0, this.int32()));
  }

  array<T>(item: () => T): T[] {
    return this.nullableArray(item) ?? [];
  }

  nullableArray<T>(item: () => T): T[] | null {
    const length = this.int32();
    if (length < 0) return null;
    if (length > this.bytes.length) throw new RangeError(`an array of ${length} items in ${this.bytes.length} bytes`);
    return Array.from({ length }, item);
  }

  /** A length as in the flexible versions of requests: https://kafka.apache.org/protocol.html#protocol_types */
  unsignedVarint(): number {
    let value = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.bytes.readUInt8(this.advance(1));
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError('a variable-length number that does not end');
  }

  compactNullableString(): string | null {
    const length = this.unsignedVarint();
    return length === 0 ? null : this.slice(length - 1).toString();
  }

  compactNullableArray<T>(item: () => T): T[] | null {
    const length = this.unsignedVarint();
    if (length === 0) return null;
    if (length > this.bytes.length) throw new RangeError(`an array of ${length - 1} items in ${this.bytes.length} bytes`);
    return Array.from({ length: length - 1 }, item);
  }

  uuid(): Buffer {
    return this.slice(16);
  }

  /** Passes over them: this broker uses none. */
  taggedFields(): void {
    for (let count = this.unsignedVarint(); count > 0; count -= 1) {
      this.unsignedVarint();
      this.slice(this.unsignedVarint());
    }
  }

  private slice(length: number): Buffer {
    const from = this.advance(length);
    return this.bytes.subarray(from, from + length);
  }

  private advance(length: number): number {
    const from = this.at;
    if (from + length > this.bytes.length) throw new RangeError('the request ends too early');
    this.at += length;
    return from;
  }
}
