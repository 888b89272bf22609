/**
 * The bytes of a body that comes in pieces, in one piece of memory of at most twice their length. Pieces as they come would be kept in the buffers that
 * they were read into, so that a body of single bytes would take a hundred times its length.
 */
export class GrowingBytes {
  private held: Buffer = Buffer.alloc(0);
  length = 0;

  /** @param expected how many bytes will come at least, as far as that is known: memory is then not taken for more, as long as no more come */
  append(piece: Buffer, expected: number): void {
    const length = this.length + piece.length;
    if (this.length === 0) {
      this.held = piece;
    } else {
      if (length > this.held.length) this.grow(Math.max(length, Math.min(2 * length, expected)));
      piece.copy(this.held, this.length);
    }
    this.length = length;
  }

  /** Gives the bytes away, and holds nothing any more. */
  take(): Buffer {
    const bytes = this.held.subarray(0, this.length);
    this.held = Buffer.alloc(0);
    this.length = 0;
    return bytes;
  }

  private grow(capacity: number): void {
    const grown = Buffer.allocUnsafeSlow(capacity);
    this.held.copy(grown, 0, 0, this.length);
    this.held = grown;
  }
}
