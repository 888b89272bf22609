import { topicExamples } from '../analysis/topic-examples.js';
import type { TopicName } from '../analysis/topic-examples.js';
import type { Analysis } from '../analysis/analysis.js';
import { contentStems } from '../text/english.js';
import { languageName } from '../analysis/language.js';
import { wordsOf } from './field-meaning.js';
import type { Meaning } from './field-meaning.js';

/** Words of labels that mean "none of these". */
const fallbackWords = new Set([
  'other',
  'others',
  'unknown',
  'general',
  'none',
  'misc',
  'miscellaneous',
  'unclear',
  'undetermined',
  'uncategorized',
  'else',
]);

const sentimentWords: Record<'negative' | 'neutral' | 'positive', ReadonlySet<string>> = {
  negative: new Set([
    'negative',
    'neg',
    'bad',
    'angry',
    'unhappy',
    'dissatisfied',
    'unsatisfied',
    'frustrated',
    'upset',
    'sad',
    'poor',
    'detractor',
  ]),
  neutral: new Set(['neutral', 'mixed', 'neither', 'none', 'unknown', 'ok', 'okay', 'indifferent', 'calm', 'average', 'passive', 'other']),
  positive: new Set(['positive', 'pos', 'good', 'happy', 'satisfied', 'pleased', 'great', 'delighted', 'promoter']),
};
const strengthWords = new Set(['very', 'strongly', 'extremely', 'highly', 'most']);

/** Levels of urgency by the words for them, from low to high. */
const scale: Readonly<Record<string, number>> = {
  ...rank(0, 'none', 'ignore', 'close', 'informational', 'info', 'trivial', 'no', 'false', 'p5', 'skip', 'spam'),
  ...rank(
    20,
    'low',
    'minor',
    'safe',
    'approve',
    'approved',
    'accept',
    'allow',
    'allowed',
    'pass',
    'green',
    'p4',
    'archive',
    'auto',
    'lowest',
  ),
  ...rank(
    45,
    'medium',
    'moderate',
    'normal',
    'standard',
    'average',
    'respond',
    'reply',
    'route',
    'p3',
    'yellow',
    'guarded',
    'monitor',
    'default',
  ),
  ...rank(55, 'review', 'hold', 'manual', 'elevated', 'investigate', 'challenge', 'warn', 'warning', 'attention'),
  ...rank(75, 'high', 'major', 'important', 'serious', 'escalate', 'orange', 'p2', 'urgent', 'yes', 'true', 'priority', 'human'),
  ...rank(
    95,
    'critical',
    'emergency',
    'severe',
    'block',
    'reject',
    'rejected',
    'decline',
    'deny',
    'denied',
    'red',
    'p1',
    'p0',
    'immediate',
    'highest',
    'blocker',
  ),
};

/** Returns the label that fits best. */
export function chooseLabel(labels: readonly string[], meaning: Meaning | undefined, analysis: Analysis): string {
  return labelByMeaning(labels, meaning, analysis) ?? labelBySimilarity(labels, analysis) ?? fallbackOf(labels) ?? middleOf(labels);
}

/** Returns the labels that the text is about, the best one first; possibly none. */
export function fittingLabels(labels: readonly string[], analysis: Analysis): string[] {
  const byTopic = scoreByTopic(labels, analysis);
  return labels
    .filter((label) => byTopic.get(label)! >= 0.3 || similarity(label, analysis) >= 0.5)
    .toSorted((one, other) => byTopic.get(other)! - byTopic.get(one)!);
}

function labelByMeaning(labels: readonly string[], meaning: Meaning | undefined, analysis: Analysis): string | undefined {
  switch (meaning) {
    case 'sentiment':
      return sentimentLabel(labels, analysis);
    case 'language':
      return languageLabel(labels, analysis.language.code);
    case 'score':
    case 'confidence':
      return scaleLabel(labels, meaning === 'score' ? analysis.assessment.score : confidenceOf(analysis) * 100);
    default:
      return (
        topicLabel(labels, analysis) ??
        (labels.some((label) => fallbackWords.has(label.toLowerCase()))
          ? undefined
          : (scaleLabel(labels, analysis.assessment.score) ?? sentimentLabel(labels, analysis)))
      );
  }
}

function sentimentLabel(labels: readonly string[], { sentiment }: Analysis): string | undefined {
  const fitting = labels.filter((label) => wordsOf(label).some((word) => sentimentWords[sentiment.label].has(word)));
  const strong = Math.abs(sentiment.score) >= 0.8;
  return fitting.find((label) => wordsOf(label).some((word) => strengthWords.has(word)) === strong) ?? fitting[0] ?? fallbackOf(labels);
}

function languageLabel(labels: readonly string[], code: string): string | undefined {
  const name = languageName(code).toLowerCase();
  return labels.find((label) => label.toLowerCase().split(/[-_]/)[0] === code || label.toLowerCase() === name) ?? fallbackOf(labels);
}

/** Undefined unless every label has a level on the scale. */
function scaleLabel(labels: readonly string[], score: number): string | undefined {
  const levels = labels.map((label) => Math.max(-1, ...wordsOrCode(label).map((word) => (Object.hasOwn(scale, word) ? scale[word]! : -1))));
  if (levels.includes(-1)) return undefined;
  const ordered = labels.map((label, at) => ({ label, level: levels[at]! })).toSorted((one, other) => one.level - other.level);
  return ordered[Math.min(ordered.length - 1, Math.floor((score / 100) * ordered.length))]!.label;
}

function topicLabel(labels: readonly string[], analysis: Analysis): string | undefined {
  if (analysis.topic.label === 'unknown') return undefined;
  const scores = [...scoreByTopic(labels, analysis)].toSorted(([, one], [, other]) => other - one);
  const [best] = scores;
  return best !== undefined && best[1] >= 0.2 ? best[0] : undefined;
}

/** Scores labels by the topic guess: a label gets the whole share of a topic that it names, and a part of the share of a near topic. */
function scoreByTopic(labels: readonly string[], { topic }: Analysis): Map<string, number> {
  const scores = new Map(labels.map((label) => [label, 0]));
  for (const [guessed, share] of topic.shares) {
    const direct = labels.filter((label) => names(label, guessed));
    const near = direct.length > 0 ? [] : labels.filter((label) => topicExamples[guessed].near.some((other) => names(label, other)));
    for (const label of direct) scores.set(label, scores.get(label)! + share);
    for (const label of near) scores.set(label, scores.get(label)! + (0.6 * share) / near.length);
  }
  return scores;
}

function names(label: string, topic: TopicName): boolean {
  const aliases = new Set<string>(topicExamples[topic].aliases);
  return wordsOf(label).some((word) => aliases.has(word) || aliases.has(word.replace(/s$/, '')));
}

function labelBySimilarity(labels: readonly string[], analysis: Analysis): string | undefined {
  const scored = labels.map((label) => ({ label, score: similarity(label, analysis) })).toSorted((one, other) => other.score - one.score);
  return scored[0] !== undefined && scored[0].score > 0 ? scored[0].label : undefined;
}

/** Returns the share of the label's words that occur in the text, 0 to 1. */
function similarity(label: string, { stems }: Analysis): number {
  const wanted = contentStems(label);
  return wanted.length === 0 ? 0 : wanted.filter((stem) => stems.includes(stem)).length / wanted.length;
}

function fallbackOf(labels: readonly string[]): string | undefined {
  return labels.find((label) => wordsOf(label).some((word) => fallbackWords.has(word)));
}

function middleOf(labels: readonly string[]): string {
  return labels[Math.floor((labels.length - 1) / 2)]!;
}

/** Returns the mean of the confidences in sentiment and topic, 0 to 1. */
export function confidenceOf({ language, sentiment, topic }: Analysis): number {
  if (!language.english) return 0.1;
  return Math.round(((sentiment.confidence + topic.confidence) / 2) * 100) / 100;
}

function wordsOrCode(label: string): string[] {
  return /^p\d$/i.test(label) ? [label.toLowerCase()] : wordsOf(label);
}

function rank(level: number, ...words: string[]): Record<string, number> {
  return Object.fromEntries(words.map((word) => [word, level]));
}
