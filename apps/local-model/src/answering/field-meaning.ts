import { spaced } from '../text/english.js';
import { entityTypes } from '../analysis/entities.js';
import type { EntityType } from '../analysis/entities.js';

/** The subject of an output field, derived from its name and description. */
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
  | 'quality'
  | 'recommendation'
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
  ['quality', ['quality', 'helpfulness', 'usefulness', 'informativeness']],
  ['recommendation', ['recommendation', 'recommendations', 'recommended', 'suggestions', 'suggested', 'picks']],
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

/** Words that describe only the form of a value: `sentimentScore` is about the sentiment, and so is the `label` of a sentiment. */
const weak = new Set(
  [
    ['label', 'value', 'name', 'type', 'kind', 'class', 'category', 'result', 'text', 'level', 'score', 'reason', 'item', 'items'],
    ['number', 'id', 'ids', 'identifier', 'key', 'list', 'count', 'code'],
  ].flat(),
);

/** The words that count in a description. It is prose, where words such as `number` and `type` mean nothing. */
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
 * Looks at the name first: its last word before the others (`riskReasons` are reasons), words of form last. Then at the enclosing object, then at the
 * description.
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
