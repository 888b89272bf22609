import type { Sentence } from '../text/english.js';
import type { Fact } from '../text/source-text.js';

const sentenceLimit = 60;
const rounds = 30;
const damping = 0.85;
/** A text with fewer characters does not tell what happened. */
const tellingLength = 40;
/** Default length in characters, about three sentences. */
export const summaryLength = 400;

/** Sorts sentences by TextRank, the most central one first, with a small bonus for early sentences. */
export function rankSentences(sentences: readonly Sentence[]): Sentence[] {
  const ranked = sentences.filter(({ text }) => /\p{L}/u.test(text)).slice(0, sentenceLimit);
  const stems = ranked.map(({ words }) => new Set(words.filter(({ content }) => content).map(({ stem }) => stem)));
  const links = stems.map((one, at) => stems.map((other, to) => (at === to ? 0 : similarity(one, other))));
  const sums = links.map((row) => row.reduce((total, link) => total + link, 0));
  let ranks = ranked.map(() => 1);
  for (let round = 0; round < rounds; round += 1) {
    ranks = ranks.map((_, at) => 1 - damping + damping * incoming(links, sums, ranks, at));
  }
  const rank = new Map(ranked.map((sentence, at) => [sentence, ranks[at]! * (1 + 0.5 / (1 + at)) * (stems[at]!.size > 1 ? 1 : 0.3)]));
  return ranked.toSorted((one, other) => rank.get(other)! - rank.get(one)!);
}

/**
 * Returns the most central sentences that fit, in the sequence of the text. It selects sentences and never writes any.
 * @param facts used if a person wrote little or nothing
 */
export function summarise(sentences: readonly Sentence[], facts: readonly Fact[], maxLength = summaryLength): string {
  const best = rankSentences(sentences);
  const written = best.reduce((length, { text }) => length + text.length, 0);
  if (written < tellingLength && facts.length > 0)
    return shortened([statementOf(facts), ...best.map(({ text }) => text)].join(' '), maxLength);
  if (best.length === 0) return '';
  const chosen = new Set<Sentence>();
  let length = 0;
  for (const sentence of best.slice(0, 3)) {
    if (length + sentence.text.length + 1 > maxLength) continue;
    chosen.add(sentence);
    length += sentence.text.length + 1;
  }
  if (chosen.size === 0) return shortened(best[0]!.text, maxLength);
  return sentences
    .filter((sentence) => chosen.has(sentence))
    .map(({ text }) => text)
    .join(' ');
}

/** Half of a tag of HTML would make the rest of a page its attributes. */
const unclosedTag = /<[a-z/!][^<>]*$/i;

/** Cuts the text at a word, and not within a tag, and adds an ellipsis. */
export function shortened(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const cut = text.slice(0, Math.max(0, maxLength - 1));
  const word = cut.lastIndexOf(' ');
  const whole = word > maxLength / 2 ? cut.slice(0, word) : cut;
  return `${whole.replace(unclosedTag, '').trimEnd()}…`.slice(0, maxLength);
}

/** Words facts as sentences: `Type: charge dispute created. Reason: fraudulent.` */
function statementOf(facts: readonly Fact[]): string {
  return facts
    .slice(0, 8)
    .map(({ name, value }) => `${name.charAt(0).toUpperCase()}${name.slice(1)}: ${value}.`)
    .join(' ');
}

/** Sums up the rank that a sentence receives from the others, each in proportion to its links. */
function incoming(links: readonly number[][], sums: readonly number[], ranks: readonly number[], at: number): number {
  return links.reduce((total, row, from) => {
    const link = row[at] ?? 0;
    return link === 0 ? total : total + (link / sums[from]!) * ranks[from]!;
  }, 0);
}

function similarity(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  if (one.size < 2 || other.size < 2) return 0;
  const common = [...one].filter((stem) => other.has(stem)).length;
  return common / (Math.log(one.size) + Math.log(other.size));
}
