export type Schema = Readonly<Record<string, unknown>>;

/** Chains of references longer than this are loops. */
const chainLimit = 12;

/** A schema with what its `$ref` (within the document) and `allOf` add laid under it. */
export function resolved(root: Schema, given: unknown, depth = 0): Schema {
  if (typeof given !== 'object' || given === null || depth > chainLimit) return {};
  const { $ref, allOf, ...own } = given as Schema;
  const parts = [...(typeof $ref === 'string' ? [target(root, $ref)] : []), ...(Array.isArray(allOf) ? (allOf as unknown[]) : [])];
  return parts.map((part) => resolved(root, part, depth + 1)).reduceRight((above, below) => merged(below, above), own as Schema);
}

/** Two schemas that both hold; where they differ, the upper one's word. */
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

/** A JSON Pointer as a URI fragment (RFC 6901 §6); anything else leads nowhere. */
function target(root: Schema, reference: string): unknown {
  if (!/^#(?:\/|$)/.test(reference)) return {};
  const steps = reference.split('/').slice(1);
  return steps.reduce<unknown>((at, step) => {
    return (at as Schema | undefined)?.[decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')];
  }, root);
}
