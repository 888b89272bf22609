/**
 * Keywords that OpenAI's strict structured outputs support. A schema with any other is sent with `strict: false`, because a strict one would be
 * refused with 400. The output is checked against the whole schema here in either case.
 * @see https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
const keywords = new Set(
  [
    ['type', 'enum', 'const', 'anyOf', '$ref', '$defs', 'definitions', 'title', 'description'],
    ['properties', 'required', 'additionalProperties', 'items', 'minItems', 'maxItems'],
    ['pattern', 'format', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ].flat(),
);
const formats = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid']);
const depthLimit = 10;

type Node = Record<string, unknown>;

export function fitsStrictSubset(schema: object): boolean {
  const root: Node = { ...schema };
  delete root['$schema'];
  return root['type'] === 'object' && root['anyOf'] === undefined && fits(root, 1);
}

function fits(schema: unknown, depth: number): boolean {
  if (!isNode(schema) || depth > depthLimit) return false;
  if (Object.keys(schema).some((keyword) => !keywords.has(keyword))) return false;
  if (schema['format'] !== undefined && !formats.has(schema['format'] as string)) return false;
  if (describesObject(schema) && !isClosed(schema)) return false;
  return childrenOf(schema).every((child) => fits(child, depth + 1));
}

function describesObject(schema: Node): boolean {
  const { type, properties } = schema;
  return type === 'object' || properties !== undefined || (Array.isArray(type) && type.includes('object'));
}

/** Every property is required, and no other is allowed. */
function isClosed({ properties, required, additionalProperties }: Node): boolean {
  const demanded = new Set(Array.isArray(required) ? required : []);
  return additionalProperties === false && Object.keys((properties as Node | undefined) ?? {}).every((name) => demanded.has(name));
}

function childrenOf(schema: Node): unknown[] {
  const children: unknown[] = [];
  for (const keyword of ['properties', '$defs', 'definitions']) {
    if (isNode(schema[keyword])) children.push(...Object.values(schema[keyword]));
  }
  if (schema['items'] !== undefined) children.push(schema['items']);
  if (Array.isArray(schema['anyOf'])) children.push(...schema['anyOf']);
  return children;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
