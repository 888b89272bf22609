import type { SourceText } from '../text/source-text.js';

export const entityTypes = ['money', 'date', 'email', 'url', 'order', 'id', 'percent', 'quantity'] as const;
export type EntityType = (typeof entityTypes)[number];

export interface Entity {
  readonly type: EntityType;
  /** The entity as it is written in the text. */
  readonly value: string;
  /** The amount of money, per cent or quantity. */
  readonly number?: number;
  /** Code of ISO 4217; only for money. */
  readonly currency?: string;
}

const lengthLimit = 50_000;
const entityLimit = 100;

const currencySigns: Readonly<Record<string, string>> = { $: 'USD', '€': 'EUR', '£': 'GBP', '¥': 'JPY', '₹': 'INR' };
const codes = 'USD|EUR|GBP|JPY|INR|CHF|CAD|AUD|SEK|NOK|DKK|PLN|BRL|MXN|CNY';
const figure = String.raw`\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:\.\d{1,2})?`;

const money = new RegExp(`([$€£¥₹]) ?(${figure})|\\b(${codes}) ?(${figure})\\b|\\b(${figure}) ?(${codes}|€|£)(?![\\p{L}\\d])`, 'giu');
const email = /\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b/gi;
const url = /\bhttps?:\/\/[^\s<>"')\]]+[^\s<>"')\].,;:!?]/gi;
const order =
  /\b(?:order|invoice|ticket|case|booking|tracking|parcel|reference|ref)\b(?:\s+(?:number|no\.?|id))?\s*[:#]?\s*#?((?=[A-Z\d-]*\d)[A-Z\d][A-Z\d-]{2,30})\b|(?<![\w&])#(\d{3,20})\b/gi;
const id = /\b(?:[a-z]{2,8}_(?=\w*\d)[A-Za-z\d_]{6,64}|[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12})\b/g;
const percent = /(?<![\w.])(\d+(?:\.\d+)?)\s?(?:%|percent\b)/gi;
const isoDate = /\b\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?\b/g;
const quantity = /(?<![\w.,#$€£¥₹-])(\d{1,6})\s+((?:[a-z]+\s)?[a-z]{3,}s)\b/gi;
/** Units whose numbers are no quantities: they belong to a time, a sum or a rating. */
const notCounted = new Set([
  'days',
  'weeks',
  'months',
  'years',
  'hours',
  'minutes',
  'seconds',
  'times',
  'dollars',
  'euros',
  'pounds',
  'cents',
  'stars',
]);

/** Finds entities in every string of the source by patterns. It cannot find persons and organisations. */
export function findEntities({ strings, sums }: SourceText, dates: readonly string[]): Entity[] {
  const text = strings.join('\n').slice(0, lengthLimit);
  const found = [
    ...sums.map(({ amount, currency }): Entity => ({ type: 'money', value: `${amount} ${currency}`, number: amount, currency })),
    ...matches(text, money, moneyOf),
    ...matches(text, email, ([value]) => ({ type: 'email', value })),
    ...matches(text, url, ([value]) => ({ type: 'url', value })),
    ...matches(text, order, ([, labelled, bare]) => ({ type: 'order', value: (labelled ?? bare)! })),
    ...matches(text, id, ([value]) => ({ type: 'id', value })),
    ...matches(text, percent, ([value, number]) => ({ type: 'percent', value, number: Number(number) })),
    ...matches(text, isoDate, ([value]) => ({ type: 'date', value })),
    ...dates.map((value): Entity => ({ type: 'date', value })),
    ...matches(text, quantity, ([value, number, what]) => {
      return notCounted.has(what!.toLowerCase().split(' ').at(-1)!) ? undefined : { type: 'quantity', value, number: Number(number) };
    }),
  ];
  const unique = new Map(found.map((entity) => [`${entity.type}\n${entity.value}`, entity]));
  return [...unique.values()].slice(0, entityLimit);
}

function matches(text: string, pattern: RegExp, entityOf: (match: RegExpExecArray) => Entity | undefined): Entity[] {
  return [...text.matchAll(pattern)].map(entityOf).filter((entity) => entity !== undefined);
}

function moneyOf([value, sign, signed, code, coded, trailing, trailer]: RegExpExecArray): Entity {
  const unit = (sign ?? code ?? trailer)!;
  return {
    type: 'money',
    value,
    number: Number((signed ?? coded ?? trailing)!.replaceAll(',', '')),
    currency: currencySigns[unit] ?? unit.toUpperCase(),
  };
}
