import type { Document } from '#libs/contracts';
import { schemasOfField, similarName } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';
import { placedSteps } from './placed-steps.js';

/** Fields of infer steps that must be grounded, although the schema of the output has none of that name, or one that holds no text and no number. */
export function ungroundableFields(document: Document): DocumentProblem[] {
  if (document.kind !== 'Flow') return [];
  return placedSteps(document.spec).flatMap(({ step: { infer }, path }) =>
    (infer?.grounded ?? []).flatMap(({ field }, at) => {
      const message = problemOf(field, infer!.output);
      return message === undefined ? [] : [{ path: [...path, 'infer', 'grounded', String(at), 'field'], message }];
    }),
  );
}

const comparableTypes = ['string', 'number', 'integer', 'null'];

function problemOf(field: string, schema: object): string | undefined {
  const parts = field.split('.');
  const found = schemasOfField(schema, parts);
  if ('unknownAt' in found) {
    const around = parts.slice(0, found.unknownAt).join('.');
    const similar = similarName(parts[found.unknownAt]!, found.named);
    const meant = similar === undefined ? '' : `; did you mean ${[around, similar].filter(Boolean).join('.')}?`;
    const has = found.named.length === 0 ? 'has nothing within it' : `has ${found.named.join(', ')}`;
    return `names no field of the output: ${field}${meant} (in \`output\`, ${around === '' ? 'it' : around} ${has})`;
  }
  const types = new Set(found.schemas.flatMap(({ type }) => (type as string | string[] | undefined) ?? []));
  const isTyped = !found.isOpen && types.size > 0;
  if (!isTyped || comparableTypes.some((type) => type !== 'null' && types.has(type))) return undefined;
  const remedy = types.has('array') ? `; name its items: ${field}.*` : types.has('object') ? '; name a field within it' : '';
  return `holds no text and no number, but ${[...types].join(' or ')}${remedy}`;
}
