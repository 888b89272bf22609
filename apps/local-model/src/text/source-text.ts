import { spaced } from './english.js';

/** The contents of a request that can be judged, without its technical fields. */
export interface SourceText {
  /** Passages that a person wrote, the most informative one first. */
  readonly passages: readonly string[];
  /** Short statements of a system, such as `status: needs response`. */
  readonly facts: readonly Fact[];
  /** All strings, ids and addresses included, in which entities are searched. */
  readonly strings: readonly string[];
  /** Amounts from numbers with a currency beside them. */
  readonly sums: readonly Sum[];
}

export interface Fact {
  readonly name: string;
  readonly value: string;
}

export interface Sum {
  readonly amount: number;
  readonly currency: string;
}

const lengthLimit = 20_000;
/** A longer run without a space is no word. */
const wordLimit = 100;
const longWord = new RegExp(`(\\S{${wordLimit}})\\S+`, 'g');
const depthLimit = 20;
const passageLimit = 100;

/** Fields in which people write, with the weights of their passages. */
const writtenFields: Record<string, number> = {
  ...weighted(4, 'message', 'body', 'text', 'description', 'comment', 'feedback', 'review', 'question', 'content', 'complaint'),
  ...weighted(3, 'title', 'subject', 'note', 'notes', 'reason', 'summary', 'details', 'explanation', 'memo'),
  ...weighted(2, 'error', 'failure', 'warning', 'response', 'request', 'caption'),
};
/** Fields in which a system says in a word or two what happened. */
const factFields = new Set(
  [
    'type',
    'event',
    'action',
    'status',
    'state',
    'reason',
    'code',
    'kind',
    'category',
    'priority',
    'severity',
    'level',
    'outcome',
    'topic',
  ].concat(['tags', 'labels', 'label', 'conclusion', 'result', 'plan', 'channel']),
);
/** Parts of a payload that describe who and where, not what happened. */
const surroundings = new Set(
  [
    'repository',
    'organization',
    'sender',
    'owner',
    'installation',
    'user',
    'author',
    'address',
    'authorizations',
    'links',
    'urls',
    'html',
  ].concat(['headers', 'client', 'browser', 'device']),
);
const machineFields = new Set([
  'id',
  'ids',
  'uuid',
  'guid',
  'sha',
  'hash',
  'token',
  'key',
  'secret',
  'signature',
  'url',
  'uri',
  'href',
  'etag',
  'cursor',
]);
const personalFields = new Set([
  'name',
  'login',
  'email',
  'phone',
  'city',
  'country',
  'zip',
  'locale',
  'currency',
  'timezone',
  'ip',
  'customer',
]);

/** Currencies without cents. */
const wholeCurrencies = new Set(['jpy', 'krw', 'vnd', 'clp', 'xaf', 'xof', 'pyg']);
const amountField = /(?:^| )(?:amount|total|price|sum|cost|balance|refund)(?: |$)/;

/** @param inputs the user's messages: text, or JSON as a webhook carries it */
export function readSource(inputs: readonly string[]): SourceText {
  const source = new Collector();
  for (const input of inputs) {
    const value = parsed(input);
    if (value === undefined) source.addPassage(input, 5);
    else source.addValue(value, '', '', 0);
  }
  return source.result();
}

/** Returns all passages and facts as one text. */
export function wordsOf({ passages, facts }: SourceText): string {
  return [...passages, ...facts.map(({ value }) => value)].join('\n').slice(0, lengthLimit);
}

function parsed(input: string): unknown {
  if (!/^\s*[[{"]/.test(input)) return undefined;
  try {
    // oxlint-disable-next-line no-restricted-properties -- the model computes with doubles, and stops at a depth of its own
    return JSON.parse(input) as unknown;
  } catch {
    return undefined;
  }
}

class Collector {
  private readonly passages: { text: string; weight: number }[] = [];
  private readonly facts = new Map<string, Fact>();
  private readonly strings: string[] = [];
  private readonly sums: Sum[] = [];

  addPassage(given: string, weight: number): void {
    const text = clipped(given);
    this.strings.push(text);
    const plain = text.replaceAll(/<[^<>]{1,200}>/g, ' ').trim();
    if (plain !== '' && !this.passages.some((known) => known.text === plain)) this.passages.push({ text: plain, weight });
  }

  /** @param field the name of the value's property; items of an array have the name of the array */
  addValue(value: unknown, field: string, around: string, depth: number): void {
    if (depth > depthLimit) return;
    if (typeof value === 'string') this.addString(value, field, around);
    else if (Array.isArray(value)) for (const item of value) this.addValue(item, field, around, depth + 1);
    else if (typeof value === 'object' && value !== null) this.addObject(value as Record<string, unknown>, field, around, depth);
  }

  result(): SourceText {
    const byWeight = this.passages.toSorted((one, other) => other.weight - one.weight).slice(0, passageLimit);
    return {
      passages: byWeight.map(({ text }) => text),
      facts: [...this.facts.values()].slice(0, passageLimit),
      strings: this.strings,
      sums: this.sums,
    };
  }

  private addObject(value: Record<string, unknown>, field: string, around: string, depth: number): void {
    const setting = surroundings.has(lastWord(field)) || surroundings.has(field) ? field : around;
    const { currency } = value;
    for (const [name, part] of Object.entries(value)) {
      if (typeof currency === 'string' && amountField.test(spaced(name).toLowerCase())) this.addSum(part, currency);
      this.addValue(part, name === 'name' && factFields.has(field) ? field : name, setting, depth + 1);
    }
  }

  private addSum(amount: unknown, currency: string): void {
    const number = typeof amount === 'string' && /^\d+(?:\.\d+)?$/.test(amount) ? Number(amount) : amount;
    if (typeof number !== 'number' || !/^[a-z]{3}$/i.test(currency)) return;
    const code = currency.toUpperCase();
    this.sums.push({ amount: isMinor(amount, currency) ? number / 100 : number, currency: code });
  }

  private addString(text: string, field: string, around: string): void {
    const trimmed = clipped(text.trim());
    const last = lastWord(field);
    const nested = /^\s*[[{]/.test(text) ? parsed(text) : undefined;
    if (nested !== undefined) return this.addValue(nested, field, around, depthLimit - 2);
    if (trimmed === '') return;
    const written = writtenFields[last];
    if (around === '' && written !== undefined && isProse(trimmed)) return this.addPassage(trimmed, written);
    this.strings.push(trimmed);
    if (around !== '' || machineFields.has(last) || personalFields.has(last) || isMachineText(trimmed)) return;
    if (factFields.has(last) || written !== undefined) this.addFact(spaced(field).toLowerCase(), spaced(trimmed).toLowerCase());
    else if (isProse(trimmed)) this.addPassage(trimmed, 1);
  }

  private addFact(name: string, value: string): void {
    if (value.length <= 80 && /[a-z]{2}/.test(value)) this.facts.set(`${name}\n${value}`, { name, value });
  }
}

/** The start of a text, with its words cut: the methods that follow take a time that grows with the square of a word. */
function clipped(text: string): string {
  return text.slice(0, lengthLimit).replaceAll(longWord, '$1');
}

/** True if the amount is in cents: an integer beside a lower-case currency code, as Stripe writes it. */
function isMinor(amount: unknown, currency: string): boolean {
  return Number.isInteger(amount) && currency === currency.toLowerCase() && !wholeCurrencies.has(currency);
}

/** True for two words or more, as a person writes them. */
function isProse(text: string): boolean {
  return /\p{L}\S*\s+\S*\p{L}/u.test(text) && !isMachineText(text);
}

/** True for addresses, timestamps, digests and prefixed ids, whatever the field is called. */
function isMachineText(text: string): boolean {
  if (/\s/.test(text)) return false;
  return /^[a-z][a-z\d+.-]*:\/\//i.test(text) || /^\d{4}-\d\d-\d\dT/.test(text) || /@/.test(text) || /\d/.test(text) || text.length > 60;
}

function lastWord(field: string): string {
  return spaced(field).toLowerCase().split(' ').at(-1) ?? '';
}

function weighted(weight: number, ...fields: string[]): Record<string, number> {
  return Object.fromEntries(fields.map((field) => [field, weight]));
}
