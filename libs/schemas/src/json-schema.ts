// The processes that check values load this, too (schema.program.ts), so it imports nothing that takes long to load.

/** The object is not a JSON Schema, or one that is too expensive to check values with. */
export class SchemaRefused extends Error {}

/** A schema that is an object; the others are `true` and `false`. */
export type SchemaNode = Readonly<Record<string, unknown>>;

type Holds = 'schema' | 'list' | 'map' | 'schema or list' | 'map of schemas or lists';

/** Keywords that hold schemas, of draft 2020-12 and draft-07. */
const keywordsThatHold: Readonly<Record<Holds, readonly string[]>> = {
  schema: [
    ['not', 'if', 'then', 'else', 'contains', 'additionalItems', 'unevaluatedItems'],
    ['additionalProperties', 'propertyNames', 'unevaluatedProperties', 'contentSchema'],
  ].flat(),
  list: ['allOf', 'anyOf', 'oneOf', 'prefixItems'],
  map: ['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions'],
  'schema or list': ['items'],
  'map of schemas or lists': ['dependencies'],
};
const holding = new Map(
  Object.entries(keywordsThatHold).flatMap(([holds, names]) => names.map((name): [string, Holds] => [name, holds as Holds])),
);

/** Keywords whose schemas apply to the value itself, not to a part of it. */
const inPlaceKeywords = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas', 'dependencies']);

/** Keywords that hold no schemas: those that check something, and those that only say something. */
const checking = [
  [
    'type',
    'enum',
    'const',
    'format',
    'pattern',
    'minLength',
    'maxLength',
    '$ref',
    '$dynamicRef',
    '$anchor',
    '$dynamicAnchor',
    '$id',
    '$schema',
  ],
  ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minItems', 'maxItems', 'uniqueItems'],
  ['minContains', 'maxContains', 'required', 'minProperties', 'maxProperties', 'dependentRequired'],
].flat();
const describing = [
  ['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$comment', '$vocabulary'],
  ['contentEncoding', 'contentMediaType'],
].flat();

const checkingKeywords = new Set(checking);
const effectiveKeywords = [...checking, ...holding.keys()];
const keywords = new Set([...effectiveKeywords, ...describing]);

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A schema directly within another one. */
interface Part {
  readonly keyword: string;
  readonly path: readonly string[];
  readonly schema: unknown;
}

function partsOf(node: SchemaNode): Part[] {
  return Object.entries(node).flatMap(([keyword, value]): Part[] => {
    const holds = holding.get(keyword);
    if (holds === undefined) return [];
    const isList = holds === 'list' || (holds === 'schema or list' && Array.isArray(value));
    if (holds.startsWith('schema') && !isList) return [{ keyword, path: [keyword], schema: value }];
    if (isList ? !Array.isArray(value) : !isNode(value)) return [];
    return Object.entries(value as object)
      .filter(([, schema]) => !Array.isArray(schema)) // a list of names in `dependencies`
      .map(([key, schema]): Part => ({ keyword, path: [keyword, key], schema }));
  });
}

/** A keyword that no draft of JSON Schema has, so that it checks nothing. */
export interface UnknownKeyword {
  readonly path: string[];
  /** The keyword that was perhaps meant; only one that checks something. */
  readonly similar: string | undefined;
}

/** The most unknown keywords that are looked for: each takes tens of microseconds. */
const unknownLimit = 100;

/** An apply asks twice about each schema: for its problems and for its doubts. */
const unknownIn = new WeakMap<object, readonly UnknownKeyword[]>();

/** The first keywords that check nothing because JSON Schema has none of that name. Those that begin with `x-` are meant for other programs. */
export function unknownKeywords(schema: object): readonly UnknownKeyword[] {
  const known = unknownIn.get(schema);
  if (known !== undefined) return known;
  const found: UnknownKeyword[] = [];
  unknownIn.set(schema, found);
  const visit = (node: unknown, path: readonly string[]): void => {
    if (!isNode(node)) return;
    for (const keyword of Object.keys(node)) {
      if (keywords.has(keyword) || keyword.startsWith('x-')) continue;
      if (found.length === unknownLimit) return;
      found.push({ path: [...path, keyword], similar: similarName(keyword, effectiveKeywords) });
    }
    for (const part of partsOf(node)) visit(part.schema, [...path, ...part.path]);
  };
  visit(schema, []);
  return found;
}

/** The name among `names` that differs from the given one by at most two letters or by the case of letters; undefined if there is none. */
export function similarName(given: string, names: Iterable<string>): string | undefined {
  const ranked = [...names]
    .map((name) => ({ name, distance: distanceOf(given.toLowerCase(), name.toLowerCase()) }))
    .toSorted((one, other) => one.distance - other.distance);
  const [closest] = ranked;
  return closest !== undefined && closest.distance <= Math.min(2, Math.floor(given.length / 3)) ? closest.name : undefined;
}

/** The end of a sentence about a name that does not exist: `; did you mean NAME?`, or nothing if no name is similar. @param sign stands before the name */
export function didYouMean(given: string, names: Iterable<string>, sign = ''): string {
  const similar = similarName(given, names);
  return similar === undefined ? '' : `; did you mean ${sign}${similar}?`;
}

/** How many letters must be added, removed, replaced or swapped to make one text of the other; 3 stands for more than two. */
function distanceOf(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 2) return 3;
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let at = 0; at < one.length; at++) {
    const next = [at + 1];
    for (let index = 1; index <= other.length; index++) {
      const replaced = row[index - 1]! + (one[at] === other[index - 1] ? 0 : 1);
      const isSwapped = at > 0 && index > 1 && one[at] === other[index - 2] && one[at - 1] === other[index - 1];
      next.push(Math.min(replaced, row[index]! + 1, next[index - 1]! + 1, isSwapped ? before[index - 2]! + 1 : Infinity));
    }
    [before, row] = [row, next];
  }
  return row[other.length]!;
}

/** The most schemas within one schema. Compiling takes about half a millisecond for each. A list of names in `dependentRequired` counts, too. */
const sizeLimit = 1_000;
/** The most patterns within one schema. Compiling takes about a millisecond for each. */
const patternsLimit = 100;
/** The most repetitions of all patterns together, such as 40 of `[a-z]{40}`. Compiling writes each of them out. */
const repetitionsLimit = 10_000;
/** The most alternatives of one anyOf or oneOf. Compiling a oneOf takes time quadratic in their number. */
const alternativesLimit = 200;
/** The deepest nesting of schemas, references included. Deeper ones exhaust the stack while they are compiled. */
const depthLimit = 200;
/** The most schemas that apply to one and the same value. */
const priceLimit = 10_000;

/**
 * Refuses a schema that would take a value of any size hours to check or exhaust the stack: too many schemas, too deep, references that
 * multiply (`allOf` with the same reference twice, in 24 steps, is 16 million checks of one value) or that lead back to the same value. A
 * recursive schema that multiplies with each level of the value is not found here: checking counts its steps.
 * @returns the number of schemas within it
 * @throws SchemaRefused
 */
export function requireAffordable(schema: object): number {
  const references = new References(schema as SchemaNode);
  references.requireDepth();
  if (references.highestPrice() > priceLimit) {
    throw new SchemaRefused(`more than ${priceLimit} of its schemas apply to the same value; combine less by allOf, anyOf, oneOf and $ref`);
  }
  return references.size;
}

class References {
  private readonly resources = new Map<SchemaNode, SchemaNode>();
  private readonly byId = new Map<string, SchemaNode>();
  private readonly byAnchor = new Map<string, SchemaNode[]>();
  /** Number of schemas, and of what takes as long to compile. */
  size = 0;
  private patterns = 0;
  private repetitions = 0;
  private readonly prices = new Map<SchemaNode, number | 'open'>();

  constructor(private readonly root: SchemaNode) {
    this.collect(root, root, 0);
  }

  /** The number of schemas that apply to one value, at the place where it is highest. */
  highestPrice(): number {
    return Math.max(...[...this.resources.keys()].map((node) => this.price(node)));
  }

  private price(node: SchemaNode): number {
    const known = this.prices.get(node);
    if (known === 'open') throw new SchemaRefused('a $ref leads back to itself for the same value, so no check would end');
    if (known !== undefined) return known;
    this.prices.set(node, 'open');
    let price = 1;
    for (const inner of this.appliedBy(node)) price = Math.min(price + this.price(inner), priceLimit + 1);
    this.prices.set(node, price);
    return price;
  }

  /** Follows the schema as compiling does: each reference where it is met first. */
  requireDepth(): void {
    const met = new Set<SchemaNode>();
    const visit = (node: SchemaNode, depth: number): void => {
      if (met.has(node)) return;
      met.add(node);
      if (depth > depthLimit) throw new SchemaRefused(`is nested more than ${depthLimit} levels deep, references included`);
      for (const target of this.targetsOf(node)) visit(target, depth + 1);
      for (const { schema } of partsOf(node)) if (isNode(schema)) visit(schema, depth + 1);
    };
    visit(this.root, 0);
  }

  private collect(node: SchemaNode, enclosing: SchemaNode, depth: number): void {
    if (depth > depthLimit) throw new SchemaRefused(`is nested more than ${depthLimit} levels deep`);
    const { $id, $anchor, $dynamicAnchor } = node;
    const isResource = typeof $id === 'string' && !$id.startsWith('#');
    const resource = isResource ? node : enclosing;
    this.resources.set(node, resource);
    this.count(node);
    if (isResource) this.byId.set($id.replace(/#$/, ''), node);
    const anchors = [$anchor, $dynamicAnchor, typeof $id === 'string' && !isResource ? $id.slice(1) : undefined];
    for (const anchor of anchors) {
      if (typeof anchor === 'string') this.byAnchor.set(anchor, [...(this.byAnchor.get(anchor) ?? []), node]);
    }
    for (const keyword of ['anyOf', 'oneOf']) {
      const alternatives = node[keyword];
      if (Array.isArray(alternatives) && alternatives.length > alternativesLimit) {
        throw new SchemaRefused(`has more than ${alternativesLimit} alternatives in one ${keyword}`);
      }
    }
    for (const { schema } of partsOf(node)) if (isNode(schema)) this.collect(schema, resource, depth + 1);
  }

  /** `true` and `false` are schemas, too, and nodes count themselves. */
  private count(node: SchemaNode): void {
    const lists = [node['dependentRequired'], node['dependencies']].flatMap((names) => (isNode(names) ? Object.values(names) : []));
    this.size += 1 + partsOf(node).filter(({ schema }) => !isNode(schema)).length + lists.filter(Array.isArray).length;
    if (this.size > sizeLimit) throw new SchemaRefused(`has more than ${sizeLimit} schemas within it`);
    const { pattern, patternProperties } = node;
    const patterns = [
      ...(typeof pattern === 'string' ? [pattern] : []),
      ...(isNode(patternProperties) ? Object.keys(patternProperties) : []),
    ];
    this.patterns += patterns.length;
    if (this.patterns > patternsLimit) throw new SchemaRefused(`has more than ${patternsLimit} patterns within it`);
    for (const text of patterns) this.repetitions += repetitionsOf(text);
    if (this.repetitions > repetitionsLimit) throw new SchemaRefused(`has patterns with more than ${repetitionsLimit} repetitions`);
  }

  private appliedBy(node: SchemaNode): SchemaNode[] {
    const inPlace = partsOf(node).flatMap(({ keyword, schema }) => (inPlaceKeywords.has(keyword) && isNode(schema) ? [schema] : []));
    return [...inPlace, ...this.targetsOf(node)];
  }

  /** The schemas that the node refers to. None if a reference leads outside the schema: compiling refuses that. */
  private targetsOf(node: SchemaNode): SchemaNode[] {
    return [node['$ref'], node['$dynamicRef']].flatMap((reference) =>
      typeof reference === 'string' ? this.resolved(reference, this.resources.get(node)!) : [],
    );
  }

  private resolved(reference: string, within: SchemaNode): SchemaNode[] {
    const [address = '', fragment = ''] = reference.split('#');
    const resource = address === '' ? within : this.resourceAt(address);
    if (fragment !== '' && !fragment.startsWith('/')) return this.byAnchor.get(fragment) ?? [];
    if (resource === undefined) return [];
    const target = fragment === '' ? resource : schemaAt(resource, fragment, reference);
    return target === undefined ? [] : [target];
  }

  private resourceAt(address: string): SchemaNode | undefined {
    const isAt = (id: string): boolean => id === address || id.endsWith(`/${address}`) || address.endsWith(`/${id}`);
    return this.byId.get(address) ?? [...this.byId].find(([id]) => isAt(id))?.[1];
  }
}

/**
 * Follows a JSON Pointer (RFC 6901) through keywords that hold schemas.
 * @throws SchemaRefused if it leads through anything else, such as the value of `const`
 */
function schemaAt(resource: SchemaNode, pointer: string, reference: string): SchemaNode | undefined {
  const steps = pointer.slice(1).split('/').map(unescaped);
  let node: unknown = resource;
  while (steps.length > 0 && isNode(node)) {
    const keyword = steps.shift()!;
    const holds = holding.get(keyword);
    const value = Object.hasOwn(node, keyword) ? node[keyword] : undefined;
    if (holds === undefined || value === undefined) throw noSchemaAt(reference);
    if (holds.startsWith('schema') && !Array.isArray(value)) node = value;
    else {
      const key = steps.shift();
      const held = value as Record<string, unknown>;
      if (key === undefined || !Object.hasOwn(held, key)) throw noSchemaAt(reference);
      node = held[key];
    }
  }
  return isNode(node) ? node : undefined;
}

/** The sum of the repeat counts of a pattern, and one for each of its characters. */
function repetitionsOf(pattern: string): number {
  const counts = pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g);
  return [...counts].reduce((sum, [, least, most]) => sum + Number(most || least), pattern.length);
}

function noSchemaAt(reference: string): SchemaRefused {
  return new SchemaRefused(`can't resolve reference ${reference}: no schema stands there`);
}

function unescaped(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return step;
  }
}

/** A copy with the keywords that check something, and with `costKeyword` at each schema: what it costs to apply it once. */
export function withCosts(node: unknown, costKeyword: string): unknown {
  if (!isNode(node)) return node;
  const own = Object.entries(node).filter(([keyword]) => checkingKeywords.has(keyword));
  const cost = own.reduce((sum, [, value]) => sum + sizeOf(value), 1);
  const copy: Record<string, unknown> = { ...Object.fromEntries(own), [costKeyword]: cost };
  for (const [keyword, value] of Object.entries(node)) {
    const holds = holding.get(keyword);
    if (holds === undefined) continue;
    const inner = (part: unknown): unknown => withCosts(part, costKeyword);
    if (Array.isArray(value)) copy[keyword] = value.map(inner);
    else if (holds.startsWith('map') && isNode(value)) {
      copy[keyword] = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, inner(part)]));
    } else copy[keyword] = inner(value);
  }
  return copy;
}

/** How much there is to compare a value with: 1 for a number or a short text. */
function sizeOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.ceil(JSON.stringify(value).length / 16) : 1;
}
