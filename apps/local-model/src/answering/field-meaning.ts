import { spaced } from '../text/english.js';
import { entityTypes } from '../analysis/entities.js';
import type { EntityType } from '../analysis/entities.js';

/** What a field of the wanted output is about, as far as its name and description tell. */
export type Meaning =
  | 'sentiment'
  | 'topic'
  | 'summary'
  | 'title'
  | 'language'
  | 'entities'
  | 'score'
  | 'reasons'
  | 'confidence'
  | 'sentences'
  | 'keywords'
  | 'currency'
  | 'text'
  | EntityType;

const vocabulary: readonly [Meaning, readonly string[]][] = [
  ['confidence', ['confidence', 'certainty', 'probability', 'likelihood']],
  [
    'reasons',
    ['reason', 'reasons', 'reasoning', 'rationale', 'justification', 'explanation', 'evidence', 'because', 'why', 'signals', 'factors'],
  ],
  ['sentiment', ['sentiment', 'mood', 'tone', 'emotion', 'feeling', 'attitude', 'polarity', 'satisfaction', 'rating', 'stars']],
  [
    'score',
    [
      'score',
      'urgency',
      'urgent',
      'risk',
      'priority',
      'severity',
      'importance',
      'impact',
      'criticality',
      'level',
      'escalation',
      'decision',
      'action',
    ],
  ],
  ['summary', ['summary', 'abstract', 'overview', 'gist', 'synopsis', 'tldr', 'description', 'recap']],
  ['title', ['title', 'subject', 'headline', 'heading']],
  ['language', ['language', 'lang', 'locale']],
  ['entities', ['entities', 'entity', 'mentions', 'extracted']],
  ['keywords', ['keywords', 'keyword', 'keyphrases', 'terms']],
  ['sentences', ['highlights', 'points', 'quotes', 'quote', 'sentences', 'excerpts', 'excerpt', 'snippets', 'facts', 'findings', 'key']],
  ['currency', ['currency']],
  ['money', ['money', 'amount', 'amounts', 'price', 'cost', 'total', 'sum', 'value']],
  ['date', ['date', 'dates', 'deadline', 'due', 'when', 'time', 'day']],
  ['email', ['email', 'emails', 'mail']],
  ['url', ['url', 'urls', 'link', 'links', 'website', 'uri']],
  ['order', ['order', 'orders', 'invoice', 'ticket', 'tracking', 'reference', 'booking', 'case']],
  ['percent', ['percent', 'percentage', 'discount']],
  ['quantity', ['quantity', 'quantities', 'count', 'items']],
  ['id', ['id', 'ids', 'identifier', 'identifiers']],
  [
    'topic',
    [
      'topic',
      'topics',
      'category',
      'categories',
      'label',
      'labels',
      'intent',
      'class',
      'type',
      'kind',
      'tag',
      'tags',
      'department',
      'team',
      'queue',
      'area',
      'theme',
    ],
  ],
  ['text', ['text', 'name', 'content', 'body']],
];
const meanings = new Map(vocabulary.flatMap(([meaning, words]) => words.map((word): [string, Meaning] => [word, meaning])));

/** Words that only say what form a value has: a `sentimentScore` is about the sentiment, the `label` of a sentiment too. */
const weak = new Set(
  [
    ['label', 'value', 'name', 'type', 'kind', 'class', 'category', 'result', 'text', 'level', 'score', 'reason', 'item', 'items'],
    ['number', 'id', 'ids', 'identifier', 'key', 'list', 'count', 'code'],
  ].flat(),
);

/** Descriptions are prose, where `number` and `type` mean nothing; these words do. */
const tellingInProse = new Set<Meaning>([
  'sentiment',
  'summary',
  'language',
  'entities',
  'score',
  'reasons',
  'confidence',
  'topic',
  'keywords',
]);

export function isEntityType(meaning: Meaning | undefined): meaning is EntityType {
  return (entityTypes as readonly (Meaning | undefined)[]).includes(meaning);
}

/**
 * The name decides, its last word first (`riskReasons` are reasons) and words of mere form last; then the part it stands in; then the description.
 */
export function meaningOf(name: string, description: string | undefined, around: Meaning | undefined): Meaning | undefined {
  const words = wordsOf(name).toReversed();
  if (around !== undefined && words.every((word) => weak.has(word))) return around;
  const telling = [...words.filter((word) => !weak.has(word)), ...words.filter((word) => weak.has(word))];
  return telling.map((word) => meanings.get(word)).find((meaning) => meaning !== undefined) ?? around ?? meaningOfDescription(description);
}

function meaningOfDescription(description: string | undefined): Meaning | undefined {
  for (const word of wordsOf(description ?? '')) {
    const meaning = meanings.get(word);
    if (meaning !== undefined && tellingInProse.has(meaning)) return meaning;
  }
  return undefined;
}

/** Lower-case words of an identifier or a sentence. */
export function wordsOf(text: string): string[] {
  return (
    spaced(text)
      .toLowerCase()
      .match(/\p{L}+/gu) ?? []
  );
}
