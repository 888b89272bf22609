import type { Json } from '#libs/json';
import { compileCheck } from '#libs/schemas';
import type { Analysis } from '../analysis/analysis.js';
import type { Candidate } from '../analysis/candidates.js';
import type { Entity } from '../analysis/entities.js';
import { shortened } from '../analysis/summary.js';
import { contentStems } from '../text/english.js';
import { isEntityType, meaningOf, wordsOf } from './field-meaning.js';
import type { Meaning } from './field-meaning.js';
import { chooseLabel, confidenceOf, fittingLabels } from './labels.js';
import { bounded } from './number-bounds.js';
import { merged, resolved } from './schema-references.js';
import type { Schema } from './schema-references.js';

/** The field of the output that a value is for. */
interface OutputField {
  readonly name: string;
  readonly meaning: Meaning | undefined;
  /** The entity that the enclosing object describes. */
  readonly entity: Entity | undefined;
  /** The item that the enclosing object recommends. */
  readonly candidate?: Candidate | undefined;
  readonly depth: number;
}

interface List {
  minItems: number;
  maxItems: number;
  items: unknown;
  prefixItems: unknown[];
}

const depthLimit = 12;
const listLimit = 5;
/** Values of one answer. A recursive schema asks for a number that grows with the power of the depth; a list or text for any number it names. */
const valueLimit = 10_000;
/** The longest padding of a text, and the longest list, that `minLength` and `minItems` get. */
const leastLimit = 10_000;

/**
 * Fills a JSON Schema (draft 2020-12) with results of the analysis, chosen by the names, descriptions, types and enums of the schema. The result is not
 * always valid, because a schema can ask for what the text does not contain (a pattern, a format); the caller checks it.
 */
export function fillSchema(root: Schema, analysis: Analysis): Json {
  return new SchemaFiller(root, analysis).value(root, { name: '', meaning: undefined, entity: undefined, depth: 0 }) ?? null;
}

class SchemaFiller {
  private values = 0;

  constructor(
    private readonly root: Schema,
    private readonly analysis: Analysis,
  ) {}

  /** Undefined if nothing is known and the value may be left out. */
  value(given: unknown, field: OutputField): Json | undefined {
    this.values += 1;
    if (this.values > valueLimit) return undefined;
    const schema = resolved(this.root, given);
    if (schema['const'] !== undefined) return schema['const'] as Json;
    if (Array.isArray(schema['enum'])) return this.choice(schema['enum'] as Json[], field);
    const variants = (schema['anyOf'] ?? schema['oneOf']) as unknown[] | undefined;
    if (Array.isArray(variants) && variants.length > 0) return this.firstKnown(variants, schema, field);
    switch (this.typeOf(schema, field)) {
      case 'object':
        return this.object(schema, field);
      case 'array':
        return this.array(schema, field);
      case 'string':
        return this.string(schema, field);
      case 'number':
      case 'integer':
        return this.number(schema, field);
      case 'boolean':
        return this.isTrue(field.name);
      default:
        return null;
    }
  }

  /** Returns the first type other than null; null if the schema allows it and nothing is known for the field. */
  private typeOf(schema: Schema, field: OutputField): string {
    const { type } = schema;
    if (typeof type === 'string') return type;
    if (Array.isArray(type)) {
      const [first] = type.filter((one) => one !== 'null') as string[];
      return first === undefined || (type.includes('null') && !this.isKnown(first, field)) ? 'null' : first;
    }
    if (schema['properties'] !== undefined || schema['required'] !== undefined) return 'object';
    if (schema['items'] !== undefined || schema['prefixItems'] !== undefined) return 'array';
    if (schema['minimum'] !== undefined || schema['maximum'] !== undefined) return 'number';
    return 'string';
  }

  private firstKnown(variants: readonly unknown[], around: Schema, field: OutputField): Json | undefined {
    const common = { ...around, anyOf: undefined, oneOf: undefined };
    const schemas = variants.map((variant) => merged(common, resolved(this.root, variant)));
    const nullable = schemas.some((schema) => schema['type'] === 'null');
    const [first] = schemas.filter((schema) => schema['type'] !== 'null');
    if (first === undefined) return null;
    return nullable && !this.isKnown(this.typeOf(first, field), field) ? null : this.value(first, field);
  }

  /** True if the text says something about the field; otherwise a value would be a guess that only satisfies the schema. */
  private isKnown(type: string, { meaning, entity, name }: OutputField): boolean {
    if (type === 'object' || type === 'array' || type === 'boolean') return true;
    if (entity !== undefined) return true;
    if (isEntityType(meaning)) return this.entity(meaning) !== undefined;
    if (meaning === 'currency') return this.entity('money') !== undefined;
    if (meaning === undefined || meaning === 'text') return type === 'string' && this.sentenceAbout(name, 1) !== undefined;
    return this.analysis.text !== '';
  }

  private choice(choices: readonly Json[], field: OutputField): Json {
    const { meaning, entity, candidate } = field;
    if (entity !== undefined && choices.includes(entity.type)) return entity.type;
    if (candidate !== undefined && choices.includes(candidate.id)) return candidate.id;
    if (choices.includes(null) && !this.isKnown('label', { ...field, meaning: meaning ?? 'topic' })) return null;
    const labels = choices.filter((choice) => typeof choice === 'string');
    if (labels.length > 0) return chooseLabel(labels, meaning, this.analysis);
    const numbers = choices.filter((choice) => typeof choice === 'number').toSorted((one, other) => one - other);
    if (numbers.length > 0) return numbers[Math.min(numbers.length - 1, Math.floor(this.share(field) * numbers.length))]!;
    return choices.includes(true) && choices.includes(false) ? this.isTrue(field.name) : (choices[0] ?? null);
  }

  private object(schema: Schema, field: OutputField): Json {
    const properties = (schema['properties'] ?? {}) as Record<string, unknown>;
    const required = new Set((schema['required'] ?? []) as string[]);
    const result: Record<string, Json> = {};
    for (const [name, given] of Object.entries(properties)) {
      const { description } = resolved(this.root, given);
      const named = meaningOf(name, typeof description === 'string' ? description : undefined, field.meaning);
      const [best] = named === 'recommendation' ? this.analysis.candidates() : [];
      const meaning = named === 'recommendation' && best === undefined ? undefined : named;
      const inner = { name, meaning, entity: field.entity, candidate: field.candidate ?? best, depth: field.depth + 1 };
      const wanted = required.has(name) || (field.depth < depthLimit / 2 && meaning !== undefined);
      const value = wanted && field.depth < depthLimit ? this.value(given, inner) : undefined;
      if (value !== undefined) result[name] = value;
    }
    return result;
  }

  private array(schema: Schema, field: OutputField): Json {
    const { minItems = 0, maxItems = listLimit, items, prefixItems = [] } = schema as Partial<List>;
    const inner = { ...field, depth: field.depth + 1 };
    const list = prefixItems.map((item) => this.value(item, inner) ?? null);
    if (items !== false && field.depth < depthLimit / 2) list.push(...this.items(this.itemSchema(items), inner));
    const wanted = (schema['uniqueItems'] === true ? unique(list) : list).slice(0, maxItems);
    const least = items === false ? 0 : Math.min(minItems, leastLimit);
    while (wanted.length < least) wanted.push(this.value(items, inner) ?? null);
    return wanted;
  }

  /** Returns the first alternative other than null: a list without items already says that there is nothing. */
  private itemSchema(items: unknown): Schema {
    const schema = resolved(this.root, items);
    const variants = (schema['anyOf'] ?? schema['oneOf']) as unknown[] | undefined;
    const schemas = variants?.map((one) => this.itemSchema(one)) ?? [];
    const variant = schemas.find(({ type }) => type !== 'null') ?? schemas[0];
    return variant === undefined ? schema : merged({ ...schema, anyOf: undefined, oneOf: undefined }, variant);
  }

  private items(schema: Schema, field: OutputField): Json[] {
    const { meaning } = field;
    const { entities, text } = this.analysis;
    if (meaning === 'recommendation') return this.recommended(schema, field);
    if (Array.isArray(schema['enum'])) return this.labels(schema['enum'] as Json[], meaning);
    const type = this.typeOf(schema, field);
    const wanted = entities.filter((entity) => meaning === 'entities' || entity.type === meaning);
    if (meaning === 'entities' || isEntityType(meaning)) return wanted.map((entity) => this.value(schema, { ...field, entity }) ?? null);
    if (type === 'object') return text === '' ? [] : [this.value(schema, field) ?? null];
    if (type !== 'string' || schema['const'] !== undefined || schema['format'] !== undefined || schema['pattern'] !== undefined) return [];
    return this.texts(meaning).map((one) => fitted(one, schema));
  }

  private recommended(schema: Schema, field: OutputField): Json[] {
    const allowed = schema['enum'] as Json[] | undefined;
    const candidates = this.analysis.candidates().filter(({ id }) => allowed === undefined || allowed.includes(id));
    return candidates.slice(0, listLimit).map((candidate) => this.value(schema, { ...field, candidate }) ?? null);
  }

  private texts(meaning: Meaning | undefined): readonly string[] {
    const { assessment, topic, sentences } = this.analysis;
    if (meaning === 'reasons') return assessment.reasons;
    if (meaning === 'topic') return topic.label === 'unknown' ? [] : [topic.label];
    if (meaning === 'keywords') return this.keywords();
    return sentences.slice(0, listLimit).map(({ text }) => text);
  }

  private labels(choices: readonly Json[], meaning: Meaning | undefined): Json[] {
    const labels = choices.filter((choice) => typeof choice === 'string');
    if (meaning === 'sentiment' || meaning === 'score') return labels.length === 0 ? [] : [chooseLabel(labels, meaning, this.analysis)];
    return fittingLabels(labels, this.analysis);
  }

  private string(schema: Schema, field: OutputField): string {
    const { meaning, entity, candidate, name } = field;
    const byFormat = this.formatted(schema['format'], field);
    if (byFormat !== undefined) return byFormat;
    if (candidate !== undefined) return fitted(textOfCandidate(candidate, name), schema);
    const text = entity === undefined ? this.text(meaning, name, lengthOf(schema)) : this.textOfEntity(entity, name);
    return this.matching(text, schema['pattern']) ?? fitted(text, schema);
  }

  private text(meaning: Meaning | undefined, name: string, maxLength: number): string {
    const { sentiment, topic, language, assessment, sentences } = this.analysis;
    switch (meaning) {
      case 'sentiment':
        return sentiment.label;
      case 'topic':
        return topic.label;
      case 'language':
        return language.code;
      case 'score':
        return assessment.score >= 67 ? 'high' : assessment.score >= 34 ? 'medium' : 'low';
      case 'confidence':
        return String(confidenceOf(this.analysis));
      case 'reasons':
        return assessment.reasons.join(' ');
      case 'title':
        return shortened(sentences[0]?.text ?? this.analysis.summary(), 80);
      case 'currency':
        return this.entity('money')?.currency ?? '';
      case 'keywords':
        return this.keywords().join(', ');
      case 'entities':
        return this.analysis.entities.map(({ value }) => value).join(', ');
      case 'summary':
        return this.analysis.summary(maxLength);
      default:
        return isEntityType(meaning)
          ? (this.entity(meaning)?.value ?? '')
          : (this.sentenceAbout(name, 0) ?? this.analysis.summary(maxLength));
    }
  }

  private textOfEntity(entity: Entity, name: string): string {
    const [last] = wordsOf(name).toReversed();
    if (last !== undefined && ['type', 'kind', 'label', 'category', 'class'].includes(last)) return entity.type;
    return last === 'currency' ? (entity.currency ?? '') : entity.value;
  }

  /** Returns the first value of the text in the format, or a neutral one such as the epoch; undefined for other formats. */
  private formatted(format: unknown, { entity }: OutputField): string | undefined {
    const own = entity?.type === 'date' ? [entity.value] : [];
    const dates = [...own, ...this.all('date')].filter((date) => !Number.isNaN(Date.parse(date)));
    const moment = new Date(dates[0] === undefined ? 0 : withZone(dates[0])).toISOString();
    switch (format) {
      case 'date-time':
        return moment;
      case 'date':
        return moment.slice(0, 10);
      case 'time':
        return moment.slice(11, 19) + 'Z';
      case 'email':
        return this.all('email')[0] ?? 'unknown@example.invalid';
      case 'uri':
      case 'url':
        return this.all('url')[0] ?? 'about:blank';
      case 'uuid':
        return this.all('id').find((value) => value.length === 36) ?? '00000000-0000-0000-0000-000000000000';
      default:
        return undefined;
    }
  }

  private matching(text: string, pattern: unknown): string | undefined {
    if (typeof pattern !== 'string') return undefined;
    const wanted = compileCheck({ pattern });
    const whole = [
      text,
      text.toLowerCase(),
      text.toUpperCase(),
      ...this.analysis.entities.map(({ value }) => value),
      ...this.analysis.text.slice(0, 5_000).split(/\s+/),
    ];
    return whole.find((candidate) => wanted.problemsOf(candidate).length === 0);
  }

  private number(schema: Schema, field: OutputField): number {
    const { meaning, entity, candidate, name } = field;
    if (candidate !== undefined) return bounded(numberOfCandidate(candidate, name), schema);
    const found = entity?.number ?? (isEntityType(meaning) ? this.entity(meaning)?.number : undefined);
    return bounded(found ?? this.scaled(schema, field), schema);
  }

  /** Maps the share to the bounds of the schema, or to the usual bounds of such a field. */
  private scaled(schema: Schema, field: OutputField): number {
    const { meaning, name } = field;
    const minimum = (schema['minimum'] ?? schema['exclusiveMinimum']) as number | undefined;
    const maximum = (schema['maximum'] ?? schema['exclusiveMaximum']) as number | undefined;
    if (meaning === undefined || isEntityType(meaning)) return minimum ?? 0;
    const rating = wordsOf(name).some((word) => word === 'rating' || word === 'stars');
    const [low, high]: readonly [number, number] =
      meaning === 'confidence' || meaning === 'quality' ? [0, 1] : meaning === 'sentiment' ? (rating ? [1, 5] : [-1, 1]) : [0, 100];
    const from = minimum ?? Math.min(low, maximum ?? low);
    const to = maximum ?? Math.max(high, from);
    const share = highestFirst(schema['description']) ? 1 - this.share(field) : this.share(field);
    return from + share * (to - from);
  }

  private share({ meaning }: OutputField): number {
    if (meaning === 'sentiment') return (this.analysis.sentiment.score + 1) / 2;
    if (meaning === 'confidence') return confidenceOf(this.analysis);
    if (meaning === 'quality') return this.analysis.quality;
    return this.analysis.assessment.score / 100;
  }

  /** Decides a boolean by the words of its name; `not` and `no` negate it. */
  private isTrue(name: string): boolean {
    const words = wordsOf(name);
    const turned = words.includes('not') || words.includes('no');
    return this.holds(words.filter((word) => word !== 'not' && word !== 'no')) !== turned;
  }

  private holds(words: readonly string[]): boolean {
    const { sentiment, assessment, language, topic, stems } = this.analysis;
    const has = (...some: string[]): boolean => words.some((word) => some.includes(word));
    if (has('urgent', 'escalate', 'escalation', 'critical', 'human', 'attention', 'risky', 'priority', 'review'))
      return assessment.score >= 50;
    if (has('negative', 'angry', 'unhappy', 'complaint', 'complaining', 'dissatisfied', 'upset', 'frustrated'))
      return sentiment.label === 'negative';
    if (has('positive', 'happy', 'satisfied', 'praise')) return sentiment.label === 'positive';
    if (has('neutral')) return sentiment.label === 'neutral';
    if (has('english')) return language.code === 'en';
    if (has('question', 'asks')) return this.analysis.text.includes('?');
    const entityMeaning = meaningOf(words.join(' '), undefined, undefined);
    if (isEntityType(entityMeaning)) return this.entity(entityMeaning) !== undefined;
    const wanted = contentStems(words.join(' '));
    return words.includes(topic.label) || wanted.some((stem) => stems.includes(stem));
  }

  /** Returns the sentence that shares most words with a field's name. @param least the number of words that it must share */
  private sentenceAbout(name: string, least: number): string | undefined {
    const wanted = contentStems(name);
    const shared = ({ words }: { words: readonly { stem: string }[] }): number => words.filter(({ stem }) => wanted.includes(stem)).length;
    const [best] = this.analysis.sentences.toSorted((one, other) => shared(other) - shared(one));
    return best !== undefined && shared(best) >= least ? best.text : undefined;
  }

  private keywords(): string[] {
    const counts = new Map<string, number>();
    for (const word of wordsOf(this.analysis.text)) {
      if (word.length > 3 && contentStems(word).length > 0) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    return [...counts]
      .toSorted(([, one], [, other]) => other - one)
      .slice(0, listLimit)
      .map(([word]) => word);
  }

  private entity(type: Entity['type']): Entity | undefined {
    return this.analysis.entities.find((entity) => entity.type === type);
  }

  private all(type: Entity['type']): string[] {
    return this.analysis.entities.filter((entity) => entity.type === type).map(({ value }) => value);
  }
}

function textOfCandidate({ id, title, reason }: Candidate, name: string): string {
  const words = wordsOf(name);
  if (words.some((word) => ['reason', 'why', 'because', 'explanation', 'rationale'].includes(word))) return reason;
  return words.some((word) => ['title', 'name', 'label'].includes(word)) ? title : String(id);
}

function numberOfCandidate({ id, score }: Candidate, name: string): number {
  const isScore = wordsOf(name).some((word) => ['score', 'confidence', 'share', 'rank', 'relevance'].includes(word));
  return typeof id === 'number' && !isScore ? id : score;
}

function lengthOf(schema: Schema): number {
  return typeof schema['maxLength'] === 'number' ? schema['maxLength'] : 400;
}

/** Fits a text between the schema's lengths: cuts it at a word, or pads it with dots. */
function fitted(text: string, schema: Schema): string {
  const least = typeof schema['minLength'] === 'number' ? Math.min(schema['minLength'], leastLimit) : 0;
  return shortened(text, lengthOf(schema)).padEnd(least, text === '' ? '-' : '.');
}

/** True if the description says that the scale is inverted, such as `1 = highest`. */
function highestFirst(description: unknown): boolean {
  return (
    typeof description === 'string' &&
    /\b[01]\b\W{0,4}(?:is |means |being )?(?:the )?(?:highest|most|urgent|critical|top)/i.test(description)
  );
}

function withZone(date: string): string {
  return /^\d{4}-\d{2}-\d{2}/.test(date) ? date : `${date} UTC`;
}

function unique(values: readonly Json[]): Json[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}
