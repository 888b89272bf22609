type SchemaNode = Readonly<Record<string, unknown>>;

/** The schemas for a field, as far as a schema tells. */
export type FieldSchemas =
  /** The schemas that may apply to the field. `isOpen`: others may, too. */
  | { readonly schemas: readonly SchemaNode[]; readonly isOpen: boolean }
  /** No schema names the part of the path at this place; it names these instead. */
  | {
      readonly unknownAt: number;
      readonly named: readonly string[];
      /** True if the schema allows no property but those that it names. */
      readonly isExcluded: boolean;
    };

/** The most schemas that are looked at for one field. */
const mostSchemas = 10_000;

/**
 * Finds the schemas for a field of the values that a schema describes. References within the schema by JSON Pointer are followed; what lies behind another
 * one may be anything.
 * @param path names of properties; `*` stands for each item of a list, or each property
 */
export function schemasOfField(schema: object, path: readonly string[]): FieldSchemas {
  let { nodes, isOpen } = inPlace(schema as SchemaNode, [schema]);
  for (const [at, name] of path.entries()) {
    const held = nodes.flatMap((node) => childrenAt(node, name));
    if (held.length === 0 && isOpen) return { schemas: [], isOpen };
    if (held.length === 0) {
      const isExcluded = nodes.some(({ additionalProperties }) => additionalProperties === false);
      return { unknownAt: at, named: [...new Set(nodes.flatMap(namesIn))], isExcluded };
    }
    const next = inPlace(schema as SchemaNode, held);
    nodes = next.nodes;
    isOpen ||= next.isOpen;
  }
  return { schemas: nodes, isOpen };
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The schemas, and those that they apply to the same value. */
function inPlace(root: SchemaNode, given: readonly unknown[]): { nodes: SchemaNode[]; isOpen: boolean } {
  const nodes = new Set<SchemaNode>();
  let isOpen = false;
  const waiting = [...given];
  while (waiting.length > 0 && nodes.size < mostSchemas) {
    const node = waiting.pop();
    if (!isNode(node)) isOpen ||= node === true;
    else if (!nodes.has(node)) {
      nodes.add(node);
      for (const keyword of ['allOf', 'anyOf', 'oneOf']) if (Array.isArray(node[keyword])) waiting.push(...(node[keyword] as unknown[]));
      for (const keyword of ['then', 'else']) if (isNode(node[keyword])) waiting.push(node[keyword]);
      if (isNode(node['dependentSchemas'])) waiting.push(...Object.values(node['dependentSchemas']));
      if (typeof node['$ref'] === 'string') {
        const target = pointed(root, node['$ref']);
        if (target === undefined) isOpen = true;
        else waiting.push(target);
      }
      isOpen ||= node['$dynamicRef'] !== undefined;
    }
  }
  return { nodes: [...nodes], isOpen };
}

/** The schema at a JSON Pointer; undefined for a reference of another kind. */
function pointed(root: SchemaNode, reference: string): unknown {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return undefined;
  let found: unknown = root;
  for (const part of reference.slice(2).split('/')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    found = isNode(found) || Array.isArray(found) ? (found as unknown as SchemaNode)[key] : undefined;
  }
  return found;
}

function childrenAt(node: SchemaNode, name: string): unknown[] {
  const { properties, patternProperties, additionalProperties, items, prefixItems, additionalItems } = node;
  const own = isNode(properties) ? properties : {};
  const others = [...(isNode(patternProperties) ? Object.values(patternProperties) : []), additionalProperties].filter(isNode);
  if (name !== '*') return [...(Object.hasOwn(own, name) ? [own[name]] : []), ...others];
  const ofItems = [items, prefixItems, additionalItems].flatMap((each) => (each === undefined || each === false ? [] : each));
  return [...Object.values(own), ...others, ...ofItems];
}

function namesIn({ properties, items, prefixItems }: SchemaNode): string[] {
  return [...(isNode(properties) ? Object.keys(properties) : []), ...(items !== undefined || prefixItems !== undefined ? ['*'] : [])];
}
