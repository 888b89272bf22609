import type { Json } from '#libs/json';

/** The description of an API, OpenAPI or WSDL, that cannot become a connector. */
export class DescriptionRefused extends Error {
  /** @param path the field at fault, below `spec` */
  constructor(
    readonly path: readonly string[],
    message: string,
  ) {
    super(message);
  }
}

export type JsonSchema = { [keyword: string]: Json };

/** An operation that cannot be sent. The message is the rest of a sentence that begins with its name. */
export class OperationLeftOut extends Error {}

export const mostOperations = 200;
const shown = 10;

/** A name of a description as that of an operation: letters and digits that begin with a lower-case letter. The name has a letter. */
export function asOperationName(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  const joined = words.map((word, at) => (at === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join('');
  const plain = joined.replace(/^[0-9]+/, '');
  return (plain[0]!.toLowerCase() + plain.slice(1)).slice(0, 63);
}

/** Names for people: all, or the first ones. */
export function listed(names: readonly string[]): string {
  const more = names.length > shown ? `, and ${names.length - shown} more` : '';
  return names.length === 0 ? 'none' : names.slice(0, shown).join(', ') + more;
}

/** The schema of settings with one more, which is required unless it has a default. */
export function withSetting(
  schema: Readonly<Record<string, Json>>,
  name: string,
  property: { [field: string]: Json },
): Record<string, Json> {
  const {
    properties = {},
    required = [],
    ...rest
  } = schema as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  const all = property['default'] === undefined ? [...new Set([...required, name])] : required;
  return { ...rest, properties: { [name]: property, ...properties }, ...(all.length === 0 ? {} : { required: all }) };
}
