import type { ReceivedHeaders } from './exchange.js';

/**
 * A successful response whose body has been read: the part of `Response` that the SDK and `valuesIn` read. Node's own copies the headers and makes a
 * stream of the body, which takes a tenth of a call's CPU.
 */
export class WholeAnswer implements Pick<Response, 'ok' | 'status' | 'url' | 'text'> {
  readonly ok = true;
  readonly url = '';
  readonly headers: Pick<Headers, 'get'> & { entries(): Iterable<[string, string]> };

  constructor(
    readonly status: number,
    headers: ReceivedHeaders,
    private readonly bytes: Buffer,
  ) {
    this.headers = new AnswerHeaders(headers);
  }

  async text(): Promise<string> {
    return this.bytes.toString('utf8');
  }
}

class AnswerHeaders {
  constructor(private readonly received: ReceivedHeaders) {}

  get(name: string): string | null {
    const value = this.received[name.toLowerCase()];
    return value === undefined ? null : textOf(value);
  }

  *entries(): Iterable<[string, string]> {
    for (const [name, value] of Object.entries(this.received)) if (value !== undefined) yield [name, textOf(value)];
  }
}

function textOf(value: string | string[]): string {
  return typeof value === 'string' ? value : value.join(', ');
}
