import { bodyOf, textOf } from './answer-body.js';

/** More models than this are no list that a person could choose from. */
const mostNames = 2_000;
const longestName = 256;

/**
 * The names in a list of models, each once: of OpenAI's form `{"data": [{"id": …}]}`, of a bare array, or of the forms that other servers have.
 * Empty if the value is no list, goes on in another page, or is longer than {@link mostNames}: a part of the names says nothing about the others.
 */
export function modelNamesIn(value: unknown): string[] {
  const body = bodyOf(value);
  if (body['has_more'] === true || textOf(body['next_page_token'] ?? body['nextPageToken']) !== undefined) return [];
  const entries: unknown = Array.isArray(value) ? value : (body['data'] ?? body['models']);
  if (!Array.isArray(entries)) return [];
  const names = new Set(entries.flatMap(namesOf).filter((name) => name.length <= longestName && !controlCharacter.test(name)));
  return names.size > mostNames ? [] : [...names];
}

// oxlint-disable-next-line no-control-regex -- no name of a model has one, and Postgres refuses NUL
const controlCharacter = /[\u0000-\u001f\u007f]/;

function namesOf(entry: unknown): string[] {
  const { id, name, model, aliases } = bodyOf(entry);
  const named = textOf(entry) ?? textOf(id) ?? textOf(name) ?? textOf(model);
  return [named, ...(Array.isArray(aliases) ? aliases.map(textOf) : [])].filter((each) => each !== undefined);
}
