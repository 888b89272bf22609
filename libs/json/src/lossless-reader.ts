import { endOfNumber, endOfString } from './json-scan.js';
import type { Json } from './json.js';
import { numberOf } from './lossless-number.js';

/**
 * Reads a text that `JSON.parse` accepts, and keeps the digits of its numbers. It does what `JSON.parse` with a reviver could do, at an eighth of its
 * cost where a text has many numbers. It calls itself for each level of nesting.
 */
export class LosslessReader {
  private at = 0;

  constructor(private readonly text: string) {}

  read(): Json {
    switch (this.next()) {
      case '{':
        return this.readObject();
      case '[':
        return this.readArray();
      case '"':
        return this.readString();
      case 't':
        this.at += 4;
        return true;
      case 'f':
        this.at += 5;
        return false;
      case 'n':
        this.at += 4;
        return null;
      default:
        return this.readNumber();
    }
  }

  private readObject(): Json {
    const object: { [key: string]: Json } = {};
    for (this.at += 1; this.next() !== '}';) {
      if (this.next() === ',') this.at += 1;
      this.next();
      const key = this.readString();
      this.next();
      this.at += 1; // the colon
      const value = this.read();
      if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      else object[key] = value;
    }
    this.at += 1;
    return object;
  }

  private readArray(): Json {
    const array: Json[] = [];
    for (this.at += 1; this.next() !== ']';) {
      if (this.next() === ',') this.at += 1;
      array.push(this.read());
    }
    this.at += 1;
    return array;
  }

  private readString(): string {
    const start = this.at;
    const end = endOfString(this.text, start);
    this.at = end + 1;
    const inner = this.text.slice(start + 1, end);
    return inner.includes('\\') ? (JSON.parse(`"${inner}"`) as string) : inner;
  }

  private readNumber(): Json {
    const start = this.at;
    this.at = endOfNumber(this.text, start);
    return numberOf(this.text.slice(start, this.at));
  }

  /** The next character that is no white space. */
  private next(): string {
    let character = this.text[this.at]!;
    while (character === ' ' || character === '\n' || character === '\r' || character === '\t') {
      this.at += 1;
      character = this.text[this.at]!;
    }
    return character;
  }
}
