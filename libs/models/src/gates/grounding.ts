import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { promptCopy } from '#libs/prompts';
import { leavesOf, textsOf } from './input-texts.js';
import { canonicalNumber, numbersIn, readingsOfWhole } from './numbers.js';

/** A field of the output whose values must occur in the input, or in another source. */
export interface GroundedField {
  /** Names of properties, with dots between them; `*` stands for each item of a list, or each property. */
  readonly field: string;
  /** The way in which a value occurs: as a passage of a text, as an id, as a number. */
  readonly as: 'quote' | 'id' | 'number';
  /** The value that it must occur in. Default: the input. */
  readonly source?: Json;
}

/** The most values of one output that are looked for. */
const mostValues = 100;
/** The most characters that are looked through for one output: 50 ms at most. */
const mostCharacters = 32 * 1024 * 1024;
const mostProblems = 10;

/** Checks that what an output says about its input stands there. `docs/validated-output.md` says what it means for a value to occur. */
export class Grounding {
  private readonly sources = new Map<unknown, Source>();

  constructor(
    private readonly fields: readonly GroundedField[],
    private readonly input: unknown,
  ) {}

  problemsOf(output: Json): string[] {
    const problems: string[] = [];
    let left = mostValues;
    let characters = mostCharacters;
    for (const { field, as, source } of this.fields) {
      const evidence = this.sourceOf(source === undefined ? this.input : source);
      for (const { pointer, value } of valuesAt(output, field.split('.'))) {
        if (value === null) continue;
        left -= 1;
        characters -= as === 'number' ? 0 : evidence.length;
        if (left < 0) return [...problems, `the answer has more than ${mostValues} values that must occur in the input`];
        if (characters < 0) return [...problems, 'the answer has more quotes and ids than can be looked for in an input of this length'];
        const problem = evidence.problemOf(as, value);
        if (problem !== undefined)
          problems.push(`${pointer} ${problem} ${source === undefined ? 'the input' : 'the source that the step names'}`);
        if (problems.length === mostProblems) return problems;
      }
    }
    return problems;
  }

  private sourceOf(value: unknown): Source {
    const known = this.sources.get(value) ?? new Source(value);
    this.sources.set(value, known);
    return known;
  }
}

function* valuesAt(value: Json | undefined, path: readonly string[], pointer = ''): Generator<{ pointer: string; value: Json }> {
  if (value === undefined) return;
  const [name, ...rest] = path;
  if (name === undefined) yield { pointer, value };
  else if (typeof value !== 'object' || value === null || value instanceof LosslessNumber) return;
  else if (name === '*') {
    for (const [key, item] of Object.entries(value)) yield* valuesAt(item, rest, `${pointer}/${key.slice(0, 60)}`);
  } else if (!Array.isArray(value) && Object.hasOwn(value, name)) yield* valuesAt(value[name], rest, `${pointer}/${name}`);
}

/** The texts and numbers that values must occur in. */
class Source {
  private madeTexts: readonly string[] | undefined;
  private madeLength: number | undefined;
  private madeNumbers: ReadonlySet<string> | undefined;

  constructor(private readonly value: unknown) {}

  /** Characters of all texts. */
  get length(): number {
    return (this.madeLength ??= this.texts.reduce((sum, { length }) => sum + length, 0));
  }

  problemOf(as: GroundedField['as'], value: Json): string | undefined {
    const isNumber = typeof value === 'number' || value instanceof LosslessNumber;
    if (!isNumber && typeof value !== 'string') return 'must be a text or a number that occurs in';
    if (as === 'number') return this.hasNumber(value) ? undefined : 'must be a number that occurs in';
    const text = comparable(String(value));
    if (text === '') return 'must not be empty: it must occur in';
    if (as === 'id') return this.texts.some((whole) => occursAsId(text, whole)) ? undefined : 'must be an id that occurs in';
    return this.texts.some((whole) => places(text, whole).next().done !== true)
      ? undefined
      : 'must be a passage that occurs word by word in';
  }

  private hasNumber(value: string | number | LosslessNumber): boolean {
    if (typeof value === 'string') return readingsOfWhole(value).some((reading) => this.numbers.has(reading));
    return this.numbers.has(canonicalNumber(value));
  }

  private get texts(): readonly string[] {
    return (this.madeTexts ??= textsOf(this.value).map(comparable));
  }

  private get numbers(): ReadonlySet<string> {
    return (this.madeNumbers ??= new Set(numbersOf(this.value)));
  }
}

function* numbersOf(value: unknown): Generator<string> {
  for (const leaf of leavesOf(value)) if (typeof leaf.value !== 'string') yield canonicalNumber(leaf.value);
  for (const text of textsOf(value)) yield* numbersIn(text);
}

/** Both sides are compared as the model saw the input, with each run of white space as one space. */
function comparable(text: string): string {
  return promptCopy(text).replaceAll(/\s+/g, ' ').trim();
}

const partOfId = /[\p{L}\p{M}\p{N}_]/u;

/** True if the id occurs and is not only a part of a longer one: `A-1` does not occur in `A-12`, `A-1-B`, `XA-1` and `A-1.5`, but in `(A-1).`. */
function occursAsId(id: string, text: string): boolean {
  for (const at of places(id, text)) {
    const isWhole = !goesOn(text, at - 1, -1) && !goesOn(text, at + id.length, 1);
    if (isWhole) return true;
  }
  return false;
}

function goesOn(text: string, at: number, direction: 1 | -1): boolean {
  const next = characterAt(text, at, direction);
  if (next === undefined) return false;
  if (partOfId.test(next)) return true;
  const second = characterAt(text, at + direction, direction);
  return (next === '-' || next === '.') && second !== undefined && partOfId.test(second);
}

/** The whole character that begins, or ends, at the place. */
function characterAt(text: string, at: number, direction: 1 | -1): string | undefined {
  const point = text.codePointAt(at);
  if (point === undefined) return undefined;
  const isLowHalf = point >= 0xdc00 && point <= 0xdfff;
  return String.fromCodePoint(direction === -1 && isLowHalf ? (text.codePointAt(at - 1) ?? point) : point);
}

/** The places of a text in another one, by Knuth, Morris and Pratt: `indexOf` takes quadratic time where somebody chose both texts to that end. */
function* places(sought: string, text: string): Generator<number> {
  const fallback = fallbackOf(sought);
  let matched = 0;
  for (let at = 0; at < text.length; at += 1) {
    while (matched > 0 && text.charCodeAt(at) !== sought.charCodeAt(matched)) matched = fallback[matched - 1]!;
    if (text.charCodeAt(at) === sought.charCodeAt(matched)) matched += 1;
    if (matched < sought.length) continue;
    yield at - sought.length + 1;
    matched = fallback[matched - 1]!;
  }
}

/** For each length of a beginning, that of the longest shorter beginning with which it ends. */
function fallbackOf(sought: string): Int32Array {
  const lengths = new Int32Array(sought.length);
  for (let at = 1, matched = 0; at < sought.length; at += 1) {
    while (matched > 0 && sought.charCodeAt(at) !== sought.charCodeAt(matched)) matched = lengths[matched - 1]!;
    if (sought.charCodeAt(at) === sought.charCodeAt(matched)) matched += 1;
    lengths[at] = matched;
  }
  return lengths;
}
