import { EscapesOfText, TooManyReadings } from './escapes.js';
import type { Reading } from './escapes.js';

/** Shorter texts are not secrets, as in {@link Redaction}. */
const shortestSecret = 8;

/**
 * The byte as which a byte is compared; undefined: it is left out. Encodings that differ only in these look alike: a space is a plus in a form, base64 has
 * two alphabets and may be broken into lines, and UTF-16 has a zero beside each letter of ASCII.
 */
const compared: readonly (number | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if ('\0\r\n'.includes(character)) return undefined;
  return character === '+' || character === '-' ? 0x20 : character === '_' ? 0x2f : byte;
});

/** A place in a form of a secret. */
interface Place {
  readonly form: Buffer;
  readonly at: number;
}

/**
 * Finds secrets in what others send: as they are, as base64 at any place of it, and escaped for JSON, JavaScript, URLs, forms or XML, in whatever order
 * and mixture. Its time grows with the length of the text alone: a text whose escapes could be read in too many ways may hold a secret.
 */
export class SecretFinder {
  private readonly forms: readonly Buffer[];
  /** The places of the forms by the byte that stands there. */
  private readonly places: readonly Place[][] = Array.from({ length: 256 }, () => []);

  constructor(secrets: readonly string[]) {
    const bytes = [...new Set(secrets)].filter(({ length }) => length >= shortestSecret).map((secret) => Buffer.from(secret));
    const forms = bytes.flatMap((secret) => [comparable(secret), ...[0, 1, 2].map((before) => base64Of(secret, before))]);
    this.forms = forms.filter(({ length }) => length >= shortestSecret);
    for (const form of this.forms) for (const [at, byte] of form.entries()) this.places[byte]!.push({ form, at });
  }

  mayStandIn(text: Buffer): boolean {
    if (this.forms.length === 0) return false;
    const bytes = comparable(text);
    if (this.forms.some((form) => bytes.includes(form))) return true;
    try {
      return this.isEscapedIn(new EscapesOfText(bytes, (byte) => compared[byte]));
    } catch (error) {
      if (error instanceof TooManyReadings) return true;
      throw error;
    }
  }

  /** Looks at each escape as if it were the first one within a secret. */
  private isEscapedIn(escapes: EscapesOfText): boolean {
    const { text } = escapes;
    for (const start of escapes.starts) {
      for (const { bytes, end } of escapes.readingsAt(start)) {
        const isEmpty = bytes.length === 0;
        const candidates = isEmpty ? this.places[text[start - 1] ?? 0]! : this.places[bytes[0]!]!;
        for (const { form, at } of candidates) {
          const place = isEmpty ? at + 1 : at;
          if (precedes(text, start, form, place) && matches(escapes, { form, at: place }, { bytes, end })) return true;
        }
      }
    }
    return false;
  }
}

/** True if the form up to the place stands unescaped before `start`. */
function precedes(text: Buffer, start: number, form: Buffer, place: number): boolean {
  if (place > start) return false;
  for (let back = 1; back <= place; back += 1) if (text[start - back] !== form[place - back]) return false;
  return true;
}

/** True if the reading of an escape, and what can be read behind it, is the rest of the form. */
function matches(escapes: EscapesOfText, { form, at: place }: Place, reading: Pick<Reading, 'bytes' | 'end'>): boolean {
  const { text } = escapes;
  const open = [{ at: reading.end, place: placeBehind(form, place, reading.bytes) }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    escapes.step();
    if (next.place === undefined) continue;
    if (next.place === form.length) return true;
    for (const { bytes, end } of escapes.readingsAt(next.at)) open.push({ at: end, place: placeBehind(form, next.place, bytes) });
    if (next.at < text.length && text[next.at] === form[next.place]) open.push({ at: next.at + 1, place: next.place + 1 });
  }
  return false;
}

/** Undefined if the bytes do not stand there. */
function placeBehind(form: Buffer, place: number, bytes: readonly number[]): number | undefined {
  return bytes.every((byte, at) => form[place + at] === byte) ? place + bytes.length : undefined;
}

/** The characters that are the same in the base64 of every text that has the secret behind 3n + `before` bytes. */
function base64Of(secret: Buffer, before: number): Buffer {
  const text = Buffer.concat([Buffer.alloc(before), secret]);
  return comparable(Buffer.from(text.toString('base64').slice(Math.ceil((before * 8) / 6), Math.floor((text.length * 8) / 6))));
}

function comparable(text: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (const byte of text) {
    const as = compared[byte];
    if (as === undefined) continue;
    bytes[length] = as;
    length += 1;
  }
  return bytes.subarray(0, length);
}
