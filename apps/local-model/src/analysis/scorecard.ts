import type { Entity } from './entities.js';
import type { Sentiment } from './sentiment.js';

/** A score by rules, not by a trained model: every point has a reason. */
export interface Assessment {
  /** 0 (can wait) to 100 (now). */
  readonly score: number;
  /** The rules that applied, as sentences, the one with the most points first. */
  readonly reasons: readonly string[];
}

interface Rule {
  readonly points: number;
  readonly reason: string;
  readonly applies: (signs: Signs) => boolean;
}

interface Signs {
  /** Lower-case. */
  readonly text: string;
  readonly original: string;
  readonly sentiment: Sentiment;
  readonly largestSum: number;
}

const base = 10;
const mentions =
  (pattern: RegExp) =>
  ({ text }: Signs) =>
    pattern.test(text);

const rules: readonly Rule[] = [
  {
    points: 35,
    reason: 'It reports fraud or a breach of security.',
    applies: mentions(/\b(fraud\w*|hacked|stolen|phishing|breach|unauthori[sz]ed|vulnerabilit\w+|leaked|compromised|malware)\b/),
  },
  {
    points: 30,
    reason: 'It reports an outage or data loss.',
    applies: mentions(
      /\b(outage|data loss|lost data|(is|are|went|completely) down|production (is|was)|unusable|every(one|body) is|all (of )?our (users|customers))\b/,
    ),
  },
  {
    points: 30,
    reason: 'It is about a payment dispute or a chargeback.',
    applies: mentions(/\b(disputed?|chargebacks?)\b/),
  },
  {
    points: 25,
    reason: 'It asks for an answer at once.',
    applies: mentions(
      /\b(urgent\w*|asap|as soon as possible|immediately|right away|right now|emergency|critical|today|by tomorrow|deadline)\b/,
    ),
  },
  {
    points: 20,
    reason: 'It threatens legal action or a public complaint.',
    applies: mentions(/\b(lawyers?|legal action|sue|court|regulator|ombudsman|consumer protection|trading standards|go(ing)? public)\b/),
  },
  {
    points: 20,
    reason: 'A payment failed or was taken wrongly.',
    applies: mentions(
      /\b(payment (has )?failed|payment_failed|(card|payment)s?( was| is| were)? declined|charged twice|double charged|overcharged|charged again|insufficient funds)\b/,
    ),
  },
  {
    points: 25,
    reason: 'The countries of payment and delivery differ.',
    applies: mentions(/\bcountries of payment and delivery differ\b/),
  },
  {
    points: 25,
    reason: 'The mail address is a disposable one.',
    applies: mentions(/\b(disposable|throw-?away) (e-?)?mail\b/),
  },
  {
    points: 15,
    reason: 'The sum is far above what the customer usually spends.',
    applies: mentions(/\bfar above what (the|this) customer usually spends\b/),
  },
  {
    points: 12,
    reason: 'It is the first order of the customer.',
    applies: mentions(/\bfirst order of (the|this) customer\b/),
  },
  {
    points: 15,
    reason: 'The customer may leave.',
    applies: mentions(
      /\b(cancel(led|ling|lation)?|switch(ing)? to|competitor|never again|close my account|leaving|unsubscribe|subscription deleted)\b/,
    ),
  },
  {
    points: 15,
    reason: 'Something failed or does not work.',
    applies: mentions(
      /\b(crash\w*|broken|(not|stopped|isn.t) working|do(es)?n.t work|does not work|fail(s|ed|ing|ure)|errors?|exception|timed? ?outs?)\b/,
    ),
  },
  {
    points: 10,
    reason: 'It is not the first time, or an answer is overdue.',
    applies: mentions(
      /\b(still (waiting|not|no)|third time|second time|again and again|(no|without) (reply|response|answer)|weeks? ago|once more|never arrived|overdue)\b/,
    ),
  },
  { points: 15, reason: 'The sentiment is strongly negative.', applies: ({ sentiment }) => sentiment.score <= -0.7 },
  { points: 8, reason: 'The sentiment is negative.', applies: ({ sentiment }) => sentiment.label === 'negative' && sentiment.score > -0.7 },
  { points: 15, reason: 'The sum at stake is 10,000 or more.', applies: ({ largestSum }) => largestSum >= 10_000 },
  { points: 8, reason: 'The sum at stake is 1,000 or more.', applies: ({ largestSum }) => largestSum >= 1_000 && largestSum < 10_000 },
  {
    points: 5,
    reason: 'It is written in capitals or with many exclamation marks.',
    applies: ({ original }) => /!{2,}|\b[A-Z]{4,}\b.*\b[A-Z]{4,}\b/.test(original),
  },
  { points: -10, reason: 'The sentiment is positive.', applies: ({ sentiment }) => sentiment.label === 'positive' },
  {
    points: -5,
    reason: 'It says that there is no hurry.',
    applies: mentions(/\b(no (rush|hurry)|not urgent|whenever you|when you have time)\b/),
  },
];

/** Adds up the points of the rules that apply to a text; 10 if none does. */
export function assess(text: string, sentiment: Sentiment, entities: readonly Entity[]): Assessment {
  const sums = entities.filter(({ type }) => type === 'money').map(({ number }) => number ?? 0);
  const signs = { text: text.toLowerCase(), original: text, sentiment, largestSum: Math.max(0, ...sums) };
  const applied = rules.filter(({ applies }) => applies(signs)).toSorted((one, other) => Math.abs(other.points) - Math.abs(one.points));
  const sum = applied.reduce((total, { points }) => total + points, base);
  return {
    score: Math.min(100, Math.max(0, sum)),
    reasons: applied.length === 0 ? ['Nothing in it asks for haste.'] : applied.map(({ reason }) => reason),
  };
}
