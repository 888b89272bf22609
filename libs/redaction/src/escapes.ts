/** A way to read an escape. */
export interface Reading {
  /** The place behind it. */
  readonly end: number;
  /** The character or half of one that it stands for; -1: a byte beyond ASCII. */
  readonly code: number;
  /** The same in UTF-8, as it is compared. */
  readonly bytes: readonly number[];
}

/** The escapes of a text can be read in so many ways that they are not all looked at. */
export class TooManyReadings extends Error {}

/** One more layer of escapes gives one more reading, and each backslash of a row does. */
const mostReadings = 32;
/** Steps for each byte of the text. JSON in JSON with HTML and addresses in it takes one or two. */
const mostSteps = 4;

const [hashSign, semicolon, u, x] = [0x23, 0x3b, 0x75, 0x78] as const;
const [percent, backslash, ampersand] = [0x25, 0x5c, 0x26] as const;
const isStarter = (code: number): boolean => code === percent || code === backslash || code === ampersand;

/** The value of a hexadecimal digit; -1: it is none. */
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** The characters behind a backslash that stand for one, in JSON and beyond. */
const backslashed = new Map(`"'/\\bfnrt`.split('').map((letter, at) => [letter.charCodeAt(0), `"'/\\\b\f\n\r\t`.charCodeAt(at)]));
const entityNames: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const longestEntity = 4;
/** The longest number of a character has so many digits, zeros before it included. */
const mostDigits = 8;

/**
 * All ways to read the escapes of a text: those of JSON and JavaScript (`\n`, `\u0061`, `\x61`), of URLs and forms (`%61`, `%u0061`) and of XML (`&amp;`,
 * `&#97;`, `&#x61;`). What an escape is written with may be escaped itself, by any of them: `%2561`, `&amp;#97;`, `\\u0061`.
 */
export class EscapesOfText {
  /** The places where escapes begin, the last one first. */
  readonly starts: number[] = [];
  private readonly found: (readonly Reading[])[] = [[]];
  /** For each byte of the text, which of {@link found} begins there; 0: none. */
  private readonly at: Uint32Array;
  private readonly ascii: readonly (readonly number[])[];
  private steps: number;

  /**
   * @param comparedAs the byte as which a byte of ASCII is compared; undefined: it is left out
   * @throws TooManyReadings
   */
  constructor(
    readonly text: Buffer,
    comparedAs: (byte: number) => number | undefined,
  ) {
    this.steps = 4_096 + text.length * mostSteps;
    this.at = new Uint32Array(text.length);
    this.ascii = Array.from({ length: 128 }, (_, byte) => [comparedAs(byte) ?? []].flat());
    // What an escape is written with stands behind its beginning, so the last one is read first.
    for (let at = text.length - 1; at >= 0; at -= 1) {
      if (!isStarter(text[at]!)) continue;
      const found = this.readAt(at);
      if (found.length === 0) continue;
      this.at[at] = this.found.push(found) - 1;
      this.starts.push(at);
    }
  }

  /** The ways to read the escape that begins there; none if none does. */
  readingsAt(place: number): readonly Reading[] {
    return this.found[this.at[place] ?? 0]!;
  }

  /** Counts a step of whoever works with the readings. @throws TooManyReadings */
  step(): void {
    this.steps -= 1;
    if (this.steps < 0) throw new TooManyReadings();
  }

  private readAt(at: number): Reading[] {
    const found: Reading[] = [];
    const starters = [{ code: this.text[at]!, end: at + 1 }];
    for (const { code, end } of starters) {
      const add = (reading: Reading): void => {
        this.step();
        if (found.some((known) => known.end === reading.end && known.code === reading.code && reading.code !== -1)) return;
        if (found.length >= mostReadings) throw new TooManyReadings();
        found.push(reading);
        if (isStarter(reading.code)) starters.push(reading);
      };
      if (code === percent) this.readPercent(end, add);
      else if (code === backslash) this.readBackslash(end, add);
      else this.readEntity(end, add);
    }
    return found;
  }

  /** The characters that can be read there: the one that stands there, and what escapes stand for. */
  private charactersAt(place: number, use: (code: number, end: number) => void): void {
    this.step();
    const byte = this.text[place];
    if (byte === undefined) return;
    use(byte, place + 1);
    if (isStarter(byte)) for (const { code, end } of this.readingsAt(place)) use(code, end);
  }

  private readPercent(at: number, add: (reading: Reading) => void): void {
    this.charactersAt(at, (code, end) => {
      if (code === u) this.readHex(end, 4, 0, (unit, behind) => this.addUnit(unit, behind, add));
    });
    this.readHex(at, 2, 0, (byte, end) => add(byte > 0x7f ? { end, code: -1, bytes: [byte] } : this.character(byte, end)));
  }

  private readBackslash(at: number, add: (reading: Reading) => void): void {
    this.charactersAt(at, (code, end) => {
      if (code === u) return this.readHex(end, 4, 0, (unit, behind) => this.addUnit(unit, behind, add));
      if (code === x) return this.readHex(end, 2, 0, (unit, behind) => add(this.character(unit, behind)));
      const character = backslashed.get(code);
      if (character !== undefined) add(this.character(character, end));
    });
  }

  private readEntity(at: number, add: (reading: Reading) => void): void {
    this.charactersAt(at, (code, end) => {
      if (code !== hashSign) return this.readName(code, end, '', add);
      this.charactersAt(end, (letter, behind) => {
        if ((letter | 0x20) === x) this.readNumber(behind, { base: 16, digits: 0, value: 0 }, add);
      });
      this.readNumber(end, { base: 10, digits: 0, value: 0 }, add);
    });
  }

  private readName(code: number, end: number, before: string, add: (reading: Reading) => void): void {
    if (code === semicolon) {
      const character = entityNames[before];
      if (character !== undefined) add(this.character(character.charCodeAt(0), end));
    } else if (before.length < longestEntity && code >= 0x61 && code <= 0x7a) {
      const name = before + String.fromCharCode(code);
      this.charactersAt(end, (next, behind) => this.readName(next, behind, name, add));
    }
  }

  private readNumber(
    at: number,
    { base, digits, value }: { base: number; digits: number; value: number },
    add: (reading: Reading) => void,
  ): void {
    this.charactersAt(at, (code, end) => {
      if (code === semicolon && digits > 0 && value <= 0x10_ffff) return add(this.character(value, end));
      const digit = hexValue(code);
      if (digit >= 0 && digit < base && digits < mostDigits)
        this.readNumber(end, { base, digits: digits + 1, value: value * base + digit }, add);
    });
  }

  private readHex(at: number, digits: number, before: number, use: (value: number, end: number) => void): void {
    let value = before;
    for (let place = at; place < at + digits; place += 1) {
      const byte = this.text[place] ?? 0;
      if (isStarter(byte)) {
        const left = at + digits - place - 1;
        for (const { code, end } of this.readingsAt(place)) {
          this.step();
          const digit = hexValue(code);
          if (digit >= 0) this.readHex(end, left, value * 16 + digit, use);
        }
        return;
      }
      const digit = hexValue(byte);
      if (digit < 0) return;
      value = value * 16 + digit;
    }
    use(value, at + digits);
  }

  /** Adds a unit of UTF-16, and the character that it is with a second one behind it. */
  private addUnit(unit: number, end: number, add: (reading: Reading) => void): void {
    add(this.character(unit, end));
    if (unit < 0xd800 || unit > 0xdbff) return;
    for (const { code: low, end: behind } of this.readingsAt(end))
      if (low >= 0xdc00 && low <= 0xdfff) add(this.character((unit - 0xd800) * 0x400 + low - 0xdc00 + 0x1_0000, behind));
  }

  private character(code: number, end: number): Reading {
    return { end, code, bytes: this.ascii[code] ?? [...Buffer.from(String.fromCodePoint(code))] };
  }
}
