import model from 'wink-eng-lite-web-model';
import winkNlp from 'wink-nlp';
import type { ItsFunction } from 'wink-nlp';

export interface Word {
  /** Lower-case, with contractions split (`don't` is `do` and `n't`). */
  readonly normal: string;
  readonly stem: string;
  readonly negated: boolean;
  /** True if the word carries meaning of its own: no punctuation, no `the`, no `of`. */
  readonly content: boolean;
}

export interface Sentence {
  readonly text: string;
  readonly words: readonly Word[];
}

export interface English {
  readonly sentences: readonly Sentence[];
  /** Dates, times and durations as they are written: `next Friday`, `3 weeks`. */
  readonly dates: readonly string[];
}

const nlp = winkNlp(model, ['sbd', 'negation', 'ner']);
/** The properties of tokens and spans that are read. The package's own types are less exact. */
const its = nlp.its as unknown as Readonly<{
  normal: ItsFunction<string>;
  stem: ItsFunction<string>;
  type: ItsFunction<string>;
  negationFlag: ItsFunction<boolean>;
  stopWordFlag: ItsFunction<boolean>;
  span: ItsFunction<[number, number]>;
  detail: ItsFunction<{ value: string; type: string }>;
}>;
const dateTypes = new Set(['DATE', 'TIME', 'DURATION']);

/** Splits English text into sentences and words. Other languages yield rough sentences with words that no other method knows. */
export function readEnglish(text: string): English {
  const doc = nlp.readDoc(text);
  const tokens = doc.tokens();
  const normals = tokens.out(its.normal);
  const stems = tokens.out(its.stem);
  const negations = tokens.out(its.negationFlag) as boolean[];
  const stops = tokens.out(its.stopWordFlag) as boolean[];
  const types = tokens.out(its.type);
  const words = normals.map((normal, at) => ({
    normal,
    stem: stems[at]!,
    negated: negations[at]!,
    content: types[at] === 'word' && !stops[at] && normal.length > 1,
  }));
  const spans = doc.sentences().out(its.span) as [number, number][];
  const texts = doc.sentences().out();
  const entities = doc.entities().out(its.detail) as { value: string; type: string }[];
  return {
    sentences: spans.map(([from, to], at) => ({ text: texts[at]!.trim(), words: words.slice(from, to + 1) })),
    dates: entities.filter(({ type }) => dateTypes.has(type)).map(({ value }) => value),
  };
}

/** Returns the stems of the words that carry meaning. `payment_failed` and `Failed payments` have the same ones. */
export function contentStems(text: string): string[] {
  return readEnglish(spaced(text)).sentences.flatMap(({ words }) => words.filter(({ content }) => content).map(({ stem }) => stem));
}

/** Splits identifiers into words: `charge.dispute.created`, `needsHumanReview`, `payment_failed`. */
export function spaced(identifier: string): string {
  return identifier
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll(/[._\-/:]+/g, ' ')
    .trim();
}
