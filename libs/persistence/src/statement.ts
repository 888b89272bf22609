/** A named prepared statement: parsed once per connection. Declared once, beside the code of its table. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

const maxNameBytes = 63; // Postgres truncates longer names, so that two could become the same
const declared = new Map<string, string>();

/**
 * @param name unique in the process, such as `event.record`
 * @throws Error when another statement has the name: a connection keeps one statement per name
 */
export function statement(name: string, text: string): Statement {
  if (Buffer.byteLength(name) > maxNameBytes) throw new Error(`The statement name ${name} is longer than ${maxNameBytes} bytes`);
  if ((declared.get(name) ?? text) !== text) throw new Error(`Two statements are named ${name}; give one of them another name`);
  declared.set(name, text);
  return Object.freeze({ name, text });
}
