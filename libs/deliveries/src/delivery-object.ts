import { hash } from 'node:crypto';
import type { DestinationDocument } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { Stored } from '#libs/persistence';

/** Longer keys are kept as their checksum, so that an entry of the index stays small. */
const longestKey = 200;

/** By the stored version of a document. */
const compiled = new WeakMap<DestinationDocument, Expression>();

/**
 * The key of the object that a payload sets at a destination; null if the destination names none, or the payload has none.
 * @throws ExpressionFailed
 */
export async function objectOf({ tenant, document }: Stored<DestinationDocument>, payload: Json): Promise<string | null> {
  const { supersede } = document.spec;
  if (supersede === undefined) return null;
  let expression = compiled.get(document);
  if (expression === undefined) compiled.set(document, (expression = compileExpression(supersede, { owner: tenant })));
  const key = await expression.evaluate({ payload });
  if (key === undefined || key === null) return null;
  const text = typeof key === 'string' ? key : JSON.stringify(key);
  return text.length <= longestKey ? text : `sha256:${hash('sha256', text)}`;
}
