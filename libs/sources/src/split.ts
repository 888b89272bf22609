import { DomainError } from '#libs/contracts';
import { LosslessNumber, elementTexts, memberTexts } from '#libs/json';
import type { Json } from '#libs/json';
import type { Split } from '#libs/signatures';

/** Limits of one request. Without them, a small array beside a long text would become many events that each carry the text. */
const maxEvents = 5_000;
const maxCharacters = 16 * 1_048_576;

/** A request holds more events than one may bring in. */
export class RequestTooSplit extends DomainError {
  readonly code = 'request.tooLarge';
  constructor() {
    super(
      `The request holds more than ${maxEvents} events, or events of more than ${maxCharacters} characters together; send fewer at once`,
    );
  }
}

/**
 * The events of a body, as JSON texts. Values stand in them as they were written. A body without one of the arrays is one event.
 * @param text the body as it was received
 * @throws RequestTooSplit
 */
export function splitBody(value: Json, text: string, { arrays, keeps, omits = [] }: Split): string[] {
  const paths = arrays.map((path) => (path === '' ? [] : path.split('.')));
  const budget = { characters: 0 };
  const found: string[] = [];
  for (const one of parts(value, text, paths, { keeps, omits })) {
    budget.characters += one.length;
    found.push(one);
    if (found.length > maxEvents || budget.characters > maxCharacters) throw new RequestTooSplit();
  }
  return found;
}

type JsonObject = { [name: string]: Json };

function* parts(value: Json, text: string, paths: readonly (readonly string[])[], how: Required<Omit<Split, 'arrays'>>): Generator<string> {
  if (Array.isArray(value)) {
    const texts = elementTexts(text);
    const inner = paths.filter((path) => path.length > 0);
    for (const [at, element] of value.entries()) {
      for (const part of inner.length === 0 ? [texts[at]!] : parts(element, texts[at]!, inner, how)) {
        yield how.keeps === 'request' ? `[${part}]` : part;
      }
    }
    return;
  }
  const names = isObject(value)
    ? new Set(paths.flatMap(([name]) => (name !== undefined && Object.hasOwn(value, name) ? [name] : [])))
    : undefined;
  if (names === undefined || names.size === 0) yield text;
  else yield* partsOfObject(value as JsonObject, text, { paths, names, how });
}

function* partsOfObject(
  value: JsonObject,
  text: string,
  { paths, names, how }: { paths: readonly (readonly string[])[]; names: ReadonlySet<string>; how: Required<Omit<Split, 'arrays'>> },
): Generator<string> {
  const texts = memberTexts(text);
  const others = [...texts]
    .filter(([name]) => !names.has(name) && !how.omits.includes(name))
    .map(([name, member]) => `${JSON.stringify(name)}:${member}`);
  let isEmpty = true;
  for (const name of names) {
    const inner = paths.filter(([first]) => first === name).map((path) => path.slice(1));
    for (const part of parts(value[name]!, texts.get(name)!, inner, how)) {
      isEmpty = false;
      yield how.keeps === 'element' ? part : `{${[...others, `${JSON.stringify(name)}:${part}`].join(',')}}`;
    }
  }
  if (isEmpty) yield text; // a report without elements says something, too
}

function isObject(value: Json): value is JsonObject {
  return value !== null && typeof value === 'object' && !(value instanceof LosslessNumber);
}
