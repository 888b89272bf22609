/** Writes the primitive types of Kafka's protocol. Large byte strings are kept as they are and not copied together. */
export class WireWriter {
  readonly #parts: Buffer[] = [];
  #current = Buffer.allocUnsafe(512);
  #used = 0;

  int8(value: number): this {
    this.#current.writeInt8(value, this.#reserve(1));
    return this;
  }

  int16(value: number): this {
    this.#current.writeInt16BE(value, this.#reserve(2));
    return this;
  }

  int32(value: number): this {
    this.#current.writeInt32BE(value, this.#reserve(4));
    return this;
  }

  int64(value: number): this {
    this.#current.writeBigInt64BE(BigInt(value), this.#reserve(8));
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length);
    this.#current.write(value, this.#reserve(length));
    return this;
  }

  buffer(value: Buffer): this {
    this.int32(value.length);
    this.#finishPart();
    this.#parts.push(value);
    return this;
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  parts(): Buffer[] {
    this.#finishPart();
    return this.#parts;
  }

  #reserve(length: number): number {
    if (this.#used + length > this.#current.length) {
      this.#finishPart();
      if (length > this.#current.length) this.#current = Buffer.allocUnsafe(length);
    }
    const from = this.#used;
    this.#used += length;
    return from;
  }

  #finishPart(): void {
    if (this.#used === 0) return;
    this.#parts.push(this.#current.subarray(0, this.#used));
    this.#current = this.#current.subarray(this.#used);
    this.#used = 0;
    if (this.#current.length < 16) this.#current = Buffer.allocUnsafe(512);
  }
}
