import { hash } from 'node:crypto';
import type { HttpMethod } from '#libs/http';
import type { Json } from '#libs/json';
import type { CodedOperations, OperationScope, RequestParts } from '../connector.js';
import { InputRefused } from '../operation.errors.js';
import { checkedForHeader, encodedForPath } from '../template.js';

/** The input, which fits the schemas of the manifest. */
interface Input {
  readonly key: string;
  readonly body?: Json;
  readonly text?: string;
  readonly base64?: string;
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly etag?: string;
  readonly versionId?: string;
}

/** The slashes of a key divide the path, so a template, which encodes them, does not suffice. */
export const s3Operations: CodedOperations = {
  putObject: (scope) => writing(scope, {}),
  createObject: (scope) => writing(scope, { 'if-none-match': '*' }),
  replaceObject: (scope) => writing(scope, { 'if-match': checkedForHeader((scope.input as unknown as Input).etag!, 'input.etag') }),
  deleteObject: (scope) => asking(scope, 'DELETE'),
  findWritten: (scope) => asking(scope, 'HEAD'),
  getObject: (scope) => asking(scope, 'GET'),
  headObject: (scope) => asking(scope, 'HEAD'),
};

function asking({ input }: OperationScope, method: HttpMethod): RequestParts {
  const { key, versionId } = input as unknown as Input;
  const isNewest = versionId === undefined || method === 'DELETE';
  return { method, path: pathOf(key), query: isNewest ? [] : [['versionId', versionId]], headers: {} };
}

/** @throws InputRefused */
function writing({ input, delivery }: OperationScope, condition: Readonly<Record<string, string>>): RequestParts {
  const { key, contentType, cacheControl, metadata = {}, ...contents } = input as unknown as Input;
  if (Object.hasOwn(metadata, 'millrace')) throw new InputRefused('input.metadata.millrace is set by Millrace');
  const { type, body } = contentsOf(contents);
  return {
    method: 'PUT',
    path: pathOf(key),
    query: [],
    headers: {
      'content-type': checkedForHeader(contentType ?? type, 'input.contentType'),
      ...(cacheControl === undefined ? {} : { 'cache-control': checkedForHeader(cacheControl, 'input.cacheControl') }),
      ...Object.fromEntries(
        Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, checkedForHeader(value, `input.metadata.${name}`)]),
      ),
      'x-amz-meta-millrace': checkedForHeader(delivery.id, 'delivery.id'),
      'x-amz-content-sha256': hash('sha256', body),
      ...condition,
    },
    body,
  };
}

/** @throws InputRefused */
function contentsOf({ body, text, base64 }: Input | Omit<Input, 'key'>): { type: string; body: Buffer } {
  if ([body, text, base64].filter((given) => given !== undefined).length !== 1)
    throw new InputRefused('The object is one of input.body, input.text and input.base64');
  if (body !== undefined) return { type: 'application/json', body: Buffer.from(JSON.stringify(body)) };
  if (text !== undefined) {
    if (!text.isWellFormed()) throw new InputRefused('input.text is no text: half of a character is missing');
    return { type: 'text/plain; charset=utf-8', body: Buffer.from(text) };
  }
  const bytes = Buffer.from(base64!, 'base64');
  if (bytes.toString('base64') !== base64) throw new InputRefused('input.base64 is no Base64 (RFC 4648 §4)');
  return { type: 'application/octet-stream', body: bytes };
}

/** @throws InputRefused for a key with an empty part, or one of `.` and `..`, which addresses do not keep as they are */
function pathOf(key: string): string {
  const parts = key.split('/');
  if (parts.slice(0, -1).includes('')) throw new InputRefused('input.key has an empty part: a slash at its start, or two slashes together');
  return `/${parts.map((part) => encodedForPath(part, 'input.key')).join('/')}`;
}
