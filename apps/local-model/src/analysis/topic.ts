import { contentStems } from '../text/english.js';
import { topicExamples } from './topic-examples.js';
import type { TopicName } from './topic-examples.js';

export interface TopicGuess {
  readonly label: TopicName | 'unknown';
  /** 0 to 1; small for `unknown`. */
  readonly confidence: number;
  /** The probability of each topic; they add up to 1. */
  readonly shares: ReadonlyMap<TopicName, number>;
}

/** Added to every count, so that a word never seen under a topic does not rule it out. */
const smoothing = 0.2;
/** The guess is `unknown` if the most probable topic has a smaller share. */
const leastShare = 0.35;

/** Multinomial naive Bayes over the distinct stems of a text, trained with the examples. */
export class TopicModel {
  private readonly counts = new Map<TopicName, Map<string, number>>();
  private readonly totals = new Map<TopicName, number>();
  private readonly vocabulary = new Set<string>();

  constructor(examples: Readonly<Record<TopicName, { examples: readonly string[] }>> = topicExamples) {
    for (const [topic, one] of Object.entries(examples) as [TopicName, { examples: readonly string[] }][]) {
      const counts = new Map<string, number>();
      for (const stem of one.examples.flatMap(contentStems)) {
        counts.set(stem, (counts.get(stem) ?? 0) + 1);
        this.vocabulary.add(stem);
      }
      this.counts.set(topic, counts);
      this.totals.set(
        topic,
        [...counts.values()].reduce((sum, count) => sum + count, 0),
      );
    }
  }

  /** @param stems stems of the text; those that occur in no example are ignored */
  guess(stems: readonly string[]): TopicGuess {
    const known = [...new Set(stems)].filter((stem) => this.vocabulary.has(stem));
    const shares = this.shares(known);
    const [best] = [...shares].toSorted(([, one], [, other]) => other - one);
    const confidence = Math.round(best![1] * 100) / 100;
    return known.length === 0 || best![1] < leastShare
      ? { label: 'unknown', confidence: Math.round((1 - best![1]) * 50) / 100, shares }
      : { label: best![0], confidence, shares };
  }

  private shares(stems: readonly string[]): Map<TopicName, number> {
    // The words of a text are not independent, so the evidence of a long text is damped.
    const damping = Math.max(1, Math.sqrt(stems.length / 2));
    const scores = [...this.counts.keys()].map((topic): [TopicName, number] => [topic, this.logLikelihood(topic, stems) / damping]);
    const highest = Math.max(...scores.map(([, score]) => score));
    const odds = scores.map(([topic, score]): [TopicName, number] => [topic, Math.exp(score - highest)]);
    const sum = odds.reduce((total, [, odd]) => total + odd, 0);
    return new Map(odds.map(([topic, odd]) => [topic, odd / sum]));
  }

  private logLikelihood(topic: TopicName, stems: readonly string[]): number {
    const counts = this.counts.get(topic)!;
    const denominator = this.totals.get(topic)! + smoothing * this.vocabulary.size;
    return stems.reduce((sum, stem) => sum + Math.log(((counts.get(stem) ?? 0) + smoothing) / denominator), 0);
  }
}
