/** One of the events that a server sends. */
export interface ServerEvent {
  /** Undefined if the event has none of its own. */
  readonly id: string | undefined;
  /** Empty if it has none. */
  readonly event: string;
  readonly data: string;
}

/** Reads server-sent events as they come (WHATWG HTML, "Server-sent events"). Comments, an event without data, and one that is cut off are left out. */
export async function* serverEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let fields: string[] = [];
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop()!;
    for (const line of lines) {
      if (line !== '') fields.push(line);
      else {
        const data = valuesOf('data', fields);
        if (data.length > 0)
          yield { id: valuesOf('id', fields).at(-1), event: valuesOf('event', fields).at(-1) ?? '', data: data.join('\n') };
        fields = [];
      }
    }
  }
}

function valuesOf(name: string, fields: readonly string[]): string[] {
  return fields
    .filter((field) => field === name || field.startsWith(`${name}:`))
    .map((field) => field.slice(name.length + 1).replace(/^ /, ''));
}
