import type { HttpMethod } from '#libs/http';
import type { Json } from '#libs/json';
import type { CodedOperations, OperationScope, RequestParts } from '../connector.js';
import { formBody } from '../form-body.js';
import { InputRefused } from '../operation.errors.js';
import { checkedForHeader, encodedForPath, plainText } from '../template.js';

/** The input, which fits the schemas of the manifest. */
interface Input {
  readonly method?: HttpMethod;
  readonly path: string;
  readonly segments?: readonly Json[];
  readonly query?: Readonly<Record<string, Json>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Json;
  readonly form?: Json;
  readonly text?: string;
}

/** Headers that belong to the connection or to its credential. */
const ownHeaders =
  /^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|encoding)|authorization|proxy-.*|cookie|traceparent|tracestate|user-agent)$/;

export const restOperations: CodedOperations = {
  request: (scope) => partsOf(scope, 'POST'),
  read: (scope) => partsOf(scope, 'GET'),
  'health check': ({ settings }) => ({ method: 'GET', path: checkedPath(plainText(settings['health']) ?? '/'), query: [], headers: {} }),
};

/** @throws InputRefused */
function partsOf({ input }: OperationScope, standard: HttpMethod): RequestParts {
  const { method = standard, path, segments = [], query = {}, headers = {} } = input as unknown as Input;
  const { type, body } = bodyOf(input as unknown as Input);
  if (body !== undefined && (method === 'GET' || method === 'HEAD'))
    throw new InputRefused(`A request with the method ${method} has no body`);
  const more = segments.map((segment, at) => encodedForPath(plainText(segment) ?? '', `input.segments.${at}`));
  return {
    method,
    path: more.length === 0 ? checkedPath(path) : [checkedPath(path).replace(/\/$/, ''), ...more].join('/'),
    query: Object.entries(query).flatMap(([name, value]) => parametersOf(name, value)),
    headers: { ...(type === undefined ? {} : { 'content-type': type }), ...checkedHeaders(headers) },
    body,
  };
}

function bodyOf({ body, form, text }: Input): { type?: string; body?: string } {
  if ([body, form, text].filter((given) => given !== undefined).length > 1)
    throw new InputRefused('Only one of body, form and text can be sent');
  if (body !== undefined) return { type: 'application/json', body: JSON.stringify(body) };
  if (form !== undefined) return { type: 'application/x-www-form-urlencoded', body: formBody(form) };
  return text === undefined ? {} : { type: 'text/plain; charset=utf-8', body: text };
}

/** A path as it is, of which every part is encoded already. */
function checkedPath(path: string): string {
  if (!/^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)+$/.test(path))
    throw new InputRefused(
      'input.path holds characters that must be encoded: give parts that come from data in `segments`, and the query in `query`',
    );
  return path;
}

function parametersOf(name: string, value: Json): [string, string][] {
  if (value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((item) => {
    const text = plainText(item);
    if (text === undefined || !text.isWellFormed()) throw new InputRefused(`input.query.${name} is neither text nor a number`);
    return [name, text];
  });
}

function checkedHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([given, value]) => {
      const name = given.toLowerCase();
      if (!/^[a-z0-9-]+$/.test(name))
        throw new InputRefused(`input.headers has a name that is none: ${JSON.stringify(given.slice(0, 50))}`);
      if (ownHeaders.test(name)) throw new InputRefused(`input.headers.${given} is set by Millrace or by the connection’s credential`);
      return [name, checkedForHeader(value, `input.headers.${given}`)];
    }),
  );
}
