/** Its languages by index, and of each n-gram the languages that it speaks for, with a weight each. */
interface NgramData {
  readonly languages: readonly string[];
  readonly ngrams: NgramTable;
}

/** `L_QL:{0:129,7:3},` as the data files of `eld` write it: a key with or without quotes, then weights by the index of a language. */
const entry = /(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([\w$\u{80}-\u{FFFF}]+)):\{([\d:,]+)\},?/uy;
const head = /\{type:'\w+',languages:\{([^}]+)\},isSubset:false,ngrams:\{/g;
const language = /\d+:'(\w+)'/g;

/**
 * The n-grams of `eld`, packed: 80 000 of them are an object each in its data file, which takes 120 MiB to load and to hold. Here they are one map into
 * one array of bytes.
 */
export class NgramTable {
  /** The place in `packed` where the weights of each n-gram begin. */
  private readonly offsets = new Map<string, number>();
  private readonly bytes: number[] = [];
  private packed = new Uint8Array();

  get size(): number {
    return this.offsets.size;
  }

  /** @param weights pairs of a language's index and a weight */
  add(ngram: string, weights: readonly number[]): void {
    this.offsets.set(ngram, this.bytes.length);
    this.bytes.push(weights.length, ...weights);
  }

  /** Call it after the last {@link add}. */
  pack(): this {
    this.packed = Uint8Array.from(this.bytes);
    this.bytes.length = 0;
    return this;
  }

  /** Weights by the index of a language; undefined if the n-gram speaks for none. */
  get(ngram: string): Record<number, number> | undefined {
    const at = this.offsets.get(ngram);
    if (at === undefined) return undefined;
    const weights: Record<number, number> = {};
    const end = at + this.packed[at]!;
    for (let index = at + 1; index < end; index += 2) weights[this.packed[index]!] = this.packed[index + 1]!;
    return weights;
  }
}

/** Reads a data file of `eld` without running it. @throws Error if it has another form */
export function readNgrams(source: string): NgramData {
  head.lastIndex = 0;
  const found = head.exec(source);
  if (found === null) throw new Error('The data file of eld has another form than the one that is read');
  const languages = [...found[1]!.matchAll(language)].map(([, code]) => code!);
  const ngrams = new NgramTable();
  entry.lastIndex = head.lastIndex;
  let end = entry.lastIndex;
  for (let each = entry.exec(source); each !== null; each = entry.exec(source)) {
    const [, single, double, plain, weights] = each;
    ngrams.add(plain ?? (single ?? double)!.replaceAll(/\\(.)/g, '$1'), weights!.split(/[:,]/).map(Number));
    end = entry.lastIndex;
  }
  if (!source.startsWith('}}', end)) throw new Error(`The data file of eld cannot be read from character ${end}`);
  return { languages, ngrams: ngrams.pack() };
}
