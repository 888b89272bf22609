import type { Document } from '#libs/contracts';
import { tenantOf } from '#libs/contracts';
import { writtenValue } from '#libs/expressions';
import { SchemaInvalid, compileSchema } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';
import { placedSteps } from './placed-steps.js';

/** Defaults of reviews that stand in the document and do not fit the schema of the review: nobody could choose them. */
export async function unfitDefaults(document: Document): Promise<DocumentProblem[]> {
  if (document.kind !== 'Flow') return [];
  const steps = placedSteps(document.spec);
  const problems: DocumentProblem[] = [];
  for (const { step, path } of steps) {
    if (step.review?.default === undefined) continue;
    const { schemaOf, schema = steps.find(({ step: { id } }) => id === schemaOf)?.step.infer?.output, default: otherwise } = step.review;
    const written = writtenValue(otherwise);
    if (schema === undefined || written === undefined) continue;
    const unfit = await compiled(schema, tenantOf(document))?.problemsOf(written.value);
    if (unfit === undefined || unfit.length === 0) continue;
    problems.push({ path: [...path, 'review', 'default'], message: `does not fit the schema of the review: ${unfit.join('; ')}` });
  }
  return problems;
}

/** Undefined for a schema that is refused, which is told elsewhere. */
function compiled(schema: object, owner: string): ReturnType<typeof compileSchema> | undefined {
  try {
    return compileSchema(schema, { owner });
  } catch (error) {
    if (error instanceof SchemaInvalid) return undefined;
    throw error;
  }
}
