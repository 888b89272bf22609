import type { English } from '../text/english.js';

/** Distinct words with a meaning of their own in a text that says all it needs to. */
const fullWords = 16;
const fullSentences = 3;

/** How much a text tells, 0 to 1: by its distinct words with a meaning of their own, and by its sentences. It does not know what is true. */
export function qualityOf({ sentences }: English): number {
  const stems = new Set(sentences.flatMap(({ words }) => words.filter(({ content }) => content).map(({ stem }) => stem)));
  const share = 0.8 * Math.min(1, stems.size / fullWords) + 0.2 * Math.min(1, sentences.length / fullSentences);
  return stems.size === 0 ? 0 : Math.round(share * 100) / 100;
}
