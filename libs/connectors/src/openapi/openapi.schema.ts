import type { Json } from '#libs/json';
import type { JsonSchema } from '../description.js';
import { asObject, targetOf } from './openapi.document.js';
import type { OpenApi, OpenApiObject } from './openapi.document.js';

/** Words that hold schemas: one, a list of them, or one for each name. */
const one = new Set([
  'not',
  'items',
  'additionalProperties',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
  'unevaluatedProperties',
  'unevaluatedItems',
]);
const many = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const named = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs']);
/** Words of OpenAPI that check nothing. */
const silent = new Set(['example', 'examples', 'discriminator', 'xml', 'externalDocs', 'nullable', 'deprecated', 'readOnly', 'writeOnly']);
/** Formats that name a type of a programming language, and are no check of JSON Schema. */
const checkedFormats = new Set([
  'date',
  'date-time',
  'time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'uri',
  'uri-reference',
  'uuid',
]);

/** Makes JSON Schemas of the schemas of a document. Those that are referred to stand below `$defs`. */
export class SchemaMaker {
  private readonly definitions = new Map<string, JsonSchema>();
  private readonly names = new Map<string, string>();

  /** @param side the side that the value comes from: what only the other one sends is not asked for */
  constructor(
    private readonly document: OpenApi,
    private readonly side: 'request' | 'response',
  ) {}

  /** @throws DescriptionRefused */
  schemaOf(schema: unknown): Json {
    if (typeof schema === 'boolean') return schema;
    const node = asObject(schema);
    if (typeof node['$ref'] === 'string') {
      const made = { $ref: `#/$defs/${this.define(node['$ref'])}` };
      return node['nullable'] === true ? { anyOf: [made, { type: 'null' }] } : made;
    }
    return this.nodeOf(node);
  }

  /** The schema with all that it refers to. */
  whole(schema: JsonSchema): JsonSchema {
    return this.definitions.size === 0 ? schema : { ...schema, $defs: Object.fromEntries(this.definitions) };
  }

  private define(reference: string): string {
    const known = this.names.get(reference);
    if (known !== undefined) return known;
    const wished = reference.slice(reference.lastIndexOf('/') + 1).replaceAll(/[^A-Za-z0-9_]/g, '_');
    const taken = new Set(this.names.values());
    const name = taken.has(wished) ? `${wished}_${taken.size}` : wished;
    this.names.set(reference, name);
    this.definitions.set(name, asSchema(this.schemaOf(targetOf(this.document, reference))));
    return name;
  }

  private nodeOf(node: OpenApiObject): JsonSchema {
    const made: JsonSchema = {};
    for (const [word, value] of Object.entries(node)) {
      if (silent.has(word) || word.startsWith('x-')) continue;
      if (one.has(word)) made[word] = this.schemaOf(value);
      else if (many.has(word)) made[word] = (Array.isArray(value) ? value : []).map((each) => this.schemaOf(each));
      else if (named.has(word))
        made[word] = Object.fromEntries(Object.entries(asObject(value)).map(([name, each]) => [name, this.schemaOf(each)]));
      else made[word] = value as Json;
    }
    this.leaveToOtherSide(node, made);
    if (typeof made['format'] === 'string' && !checkedFormats.has(made['format'])) delete made['format'];
    return this.document.isThreeOne ? made : ofThreeZero(node, made);
  }

  /** A property that only the other side sends is not required of this one. */
  private leaveToOtherSide(node: OpenApiObject, made: JsonSchema): void {
    const foreign = this.side === 'request' ? 'readOnly' : 'writeOnly';
    if (!Array.isArray(made['required'])) return;
    const properties = asObject(node['properties']);
    const left = (made['required'] as string[]).filter((name) => asObject(properties[name])[foreign] !== true);
    if (left.length === 0) delete made['required'];
    else made['required'] = left;
  }
}

/** https://spec.openapis.org/oas/v3.0.4.html#schema-object */
function ofThreeZero({ nullable, exclusiveMinimum, exclusiveMaximum, minimum, maximum }: OpenApiObject, made: JsonSchema): JsonSchema {
  for (const [word, limit, bound] of [
    ['exclusiveMinimum', 'minimum', minimum],
    ['exclusiveMaximum', 'maximum', maximum],
  ] as const) {
    const isExclusive = word === 'exclusiveMinimum' ? exclusiveMinimum : exclusiveMaximum;
    if (typeof isExclusive !== 'boolean') continue;
    delete made[word];
    if (!isExclusive || bound === undefined) continue;
    delete made[limit];
    made[word] = bound as Json;
  }
  if (nullable !== true) return made;
  if (typeof made['type'] !== 'string') return made;
  const choices = made['enum'];
  return {
    ...made,
    type: [made['type'], 'null'],
    ...(Array.isArray(choices) && !choices.includes(null) ? { enum: [...choices, null] } : {}),
  };
}

/** `true` and `false` as objects. */
export function asSchema(schema: Json): JsonSchema {
  if (typeof schema === 'boolean') return schema ? {} : { not: {} };
  return schema as JsonSchema;
}
