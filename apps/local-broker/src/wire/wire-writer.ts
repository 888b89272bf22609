/** Writes the primitive types of Kafka's protocol. Large byte strings are kept as they are and not copied together. */
export class WireWriter {
  private readonly written: Buffer[] = [];
  private current = Buffer.allocUnsafe(512);
  private used = 0;

  int8(value: number): this {
    const at = this.reserve(1);
    this.current.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.reserve(2);
    this.current.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.reserve(4);
    this.current.writeInt32BE(value, at);
    return this;
  }

  int64(value: number): this {
    const at = this.reserve(8);
    this.current.writeBigInt64BE(BigInt(value), at);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length);
    const at = this.reserve(length);
    this.current.write(value, at);
    return this;
  }

  buffer(value: Buffer): this {
    this.int32(value.length);
    this.finishPart();
    this.written.push(value);
    return this;
  }

  /** One byte string in pieces. */
  pieces(values: readonly Buffer[]): this {
    this.int32(values.reduce((bytes, value) => bytes + value.length, 0));
    this.finishPart();
    this.written.push(...values);
    return this;
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  unsignedVarint(value: number): this {
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    return this.byte(rest);
  }

  compactString(value: string | null): this {
    if (value === null) return this.unsignedVarint(0);
    const length = Buffer.byteLength(value);
    this.unsignedVarint(length + 1);
    const at = this.reserve(length);
    this.current.write(value, at);
    return this;
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.unsignedVarint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  uuid(value: Buffer): this {
    const at = this.reserve(value.length);
    this.current.set(value, at);
    return this;
  }

  noTaggedFields(): this {
    return this.unsignedVarint(0);
  }

  parts(): Buffer[] {
    this.finishPart();
    return this.written;
  }

  private byte(value: number): this {
    const at = this.reserve(1);
    this.current.writeUInt8(value, at);
    return this;
  }

  /** Makes room in `current`, which may be another buffer afterwards. */
  private reserve(length: number): number {
    if (this.used + length > this.current.length) {
      this.finishPart();
      if (length > this.current.length) this.current = Buffer.allocUnsafe(length);
    }
    const from = this.used;
    this.used += length;
    return from;
  }

  private finishPart(): void {
    if (this.used === 0) return;
    this.written.push(this.current.subarray(0, this.used));
    this.current = this.current.subarray(this.used);
    this.used = 0;
    if (this.current.length < 16) this.current = Buffer.allocUnsafe(512);
  }
}
