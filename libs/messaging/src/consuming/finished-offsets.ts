import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';

/**
 * Encodes the finished offsets above a committed one as text for the commit's metadata, so that after a crash only open records are handled.
 *
 * `v1|r|…` lists run lengths as varints, alternately open and finished, beginning with the open run at the committed offset.
 * `v1|d|…` is a deflated bitset; bit 0 of byte 0 is the committed offset. Both are in base64url, and the shorter one is written.
 * Text that cannot be read (another version, garbage) counts as empty: then more records are handled again, and found to be done.
 */

/** Kafka's default `offset.metadata.max.bytes`, less the room for the identity of the log and the offset. */
export const maxMetadataBytes = 4_096 - 128;
/** Upper bound of the offsets in one text. A longer one was not written by Millrace. */
const maxSpan = 1 << 20;

/**
 * @param finished offsets above `committed`, ascending
 * @returns `''` if there are none, or if they do not fit
 */
export function encodeFinished(committed: number, finished: readonly number[]): string {
  if (finished.length === 0) return '';
  const runs = `v1|r|${Buffer.from(runLengths(committed, finished)).toString('base64url')}`;
  const bits = `v1|d|${deflateRawSync(bitset(committed, finished), { level: constants.Z_BEST_SPEED }).toString('base64url')}`;
  const shorter = bits.length < runs.length ? bits : runs;
  return shorter.length <= maxMetadataBytes ? shorter : '';
}

/** The inverse of {@link encodeFinished}: ascending offsets; empty if the text cannot be read. */
export function decodeFinished(committed: number, metadata: string | null): number[] {
  const [, form, data] = /^v1\|([rd])\|([\w-]+)$/.exec(metadata ?? '') ?? [];
  if (form === undefined) return [];
  const bytes = Buffer.from(data!, 'base64url');
  return form === 'r' ? fromRunLengths(committed, bytes) : fromBitset(committed, bytes);
}

function runLengths(committed: number, finished: readonly number[]): number[] {
  const bytes: number[] = [];
  let from = committed;
  for (let at = 0; at < finished.length;) {
    const first = finished[at]!;
    let end = first;
    while (finished[at] === end) {
      at += 1;
      end += 1;
    }
    writeVarint(bytes, first - from);
    writeVarint(bytes, end - first);
    from = end;
  }
  return bytes;
}

function fromRunLengths(committed: number, bytes: Buffer): number[] {
  const finished: number[] = [];
  let offset = committed;
  let isFinished = false;
  for (let at = 0; at < bytes.length;) {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined || shift > 21) return [];
      at += 1;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (offset + length - committed > maxSpan) return [];
    if (isFinished) for (let n = 0; n < length; n += 1) finished.push(offset + n);
    offset += length;
    isFinished = !isFinished;
  }
  return finished;
}

function bitset(committed: number, finished: readonly number[]): Buffer {
  const bits = Buffer.alloc(((finished.at(-1)! - committed) >> 3) + 1);
  for (const offset of finished) bits[(offset - committed) >> 3]! |= 1 << ((offset - committed) & 7);
  return bits;
}

function fromBitset(committed: number, bytes: Buffer): number[] {
  let bits: Buffer;
  try {
    bits = inflateRawSync(bytes, { maxOutputLength: maxSpan >> 3 });
  } catch {
    return [];
  }
  const finished: number[] = [];
  for (const [at, byte] of bits.entries()) {
    for (let bit = 0; bit < 8; bit += 1) if ((byte & (1 << bit)) !== 0) finished.push(committed + at * 8 + bit);
  }
  return finished;
}

function writeVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
}
