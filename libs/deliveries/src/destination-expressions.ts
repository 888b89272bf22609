import { hash } from 'node:crypto';
import type { DestinationDocument } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { Stored } from '#libs/persistence';

/** Longer keys are kept as their checksum, so that an entry of the index stays small. */
const longestKey = 200;

/** By the stored version of a document. */
const objects = new WeakMap<DestinationDocument, Expression>();
const inputs = new WeakMap<DestinationDocument, Expression>();

/**
 * The part of a payload that a destination is sent: for an operation its input, so that every attempt has the same one; else the payload itself.
 * @throws ExpressionFailed
 */
export async function inputOf({ tenant, document }: Stored<DestinationDocument>, payload: Json): Promise<Json> {
  const { spec } = document;
  if (spec.kind !== 'operation' || spec.input === undefined) return payload;
  return (await compiledIn(inputs, { tenant, document }, spec.input).evaluate({ payload })) ?? null;
}

/**
 * The key of the object that a payload sets at a destination; null if the destination names none, or the payload has none.
 * @throws ExpressionFailed
 */
export async function objectOf({ tenant, document }: Stored<DestinationDocument>, payload: Json): Promise<string | null> {
  const { supersede } = document.spec;
  if (supersede === undefined) return null;
  const key = await compiledIn(objects, { tenant, document }, supersede).evaluate({ payload });
  if (key === undefined || key === null) return null;
  const text = typeof key === 'string' ? key : JSON.stringify(key);
  return text.length <= longestKey ? text : `sha256:${hash('sha256', text)}`;
}

function compiledIn(
  known: WeakMap<DestinationDocument, Expression>,
  { tenant, document }: Pick<Stored<DestinationDocument>, 'tenant' | 'document'>,
  text: string,
): Expression {
  let expression = known.get(document);
  if (expression === undefined) known.set(document, (expression = compileExpression(text, { owner: tenant })));
  return expression;
}
