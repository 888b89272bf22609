export type Schema = Readonly<Record<string, unknown>>;

/** Longer chains of references are taken for loops. */
const chainLimit = 12;

/** Merges a schema with its `$ref` (within the document) and its `allOf`. The schema's own keywords win. */
export function resolved(root: Schema, given: unknown, depth = 0): Schema {
  if (typeof given !== 'object' || given === null || depth > chainLimit) return {};
  const { $ref, allOf, ...own } = given as Schema;
  const parts = [...(typeof $ref === 'string' ? [target(root, $ref)] : []), ...(Array.isArray(allOf) ? (allOf as unknown[]) : [])];
  return parts.map((part) => resolved(root, part, depth + 1)).reduceRight((above, below) => merged(below, above), own as Schema);
}

/** Merges two schemas that both apply. A keyword that differs is taken from `above`. */
export function merged(below: Schema, above: Schema): Schema {
  const both = { ...below, ...above };
  const properties = { ...(below['properties'] as Schema | undefined), ...(above['properties'] as Schema | undefined) };
  const required = [...((below['required'] as string[] | undefined) ?? []), ...((above['required'] as string[] | undefined) ?? [])];
  return {
    ...both,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** Resolves a JSON Pointer in a URI fragment (RFC 6901 §6). Other references resolve to an empty schema. */
function target(root: Schema, reference: string): unknown {
  if (!/^#(?:\/|$)/.test(reference)) return {};
  const steps = reference.split('/').slice(1);
  return steps.reduce<unknown>((at, step) => {
    return (at as Schema | undefined)?.[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')];
  }, root);
}
