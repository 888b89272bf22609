import { hash } from 'node:crypto';
import { asXml, startStandIn } from '../stand-in.js';
import type { StandInRequest, StandInResponse, VendorStandIn } from '../stand-in.js';

interface StoredObject {
  readonly text: string;
  /** The bytes, where they are no text. */
  readonly bytes?: Buffer;
  readonly etag: string;
  /** Headers that are kept with it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly modifiedAt: Date;
}

/** One bucket, `acme`, with the bucket in the path: objects, conditional writes, lists with tokens. */
export interface S3StandIn extends VendorStandIn {
  readonly objects: Map<string, StoredObject>;
  /** How often an object was written or deleted. */
  readonly changes: { count: number };
}

const kept = /^(?:content-type|cache-control|x-amz-meta-.+)$/;

const refusal = (status: number, code: string, message: string): StandInResponse => ({
  status,
  body: { Error: { Code: code, Message: message, RequestId: '4442587FB7D0A2F9' } },
});

export async function startS3StandIn(): Promise<S3StandIn> {
  const objects = new Map<string, StoredObject>();
  const changes = { count: 0 };
  const standIn = await startStandIn((request) => answer(objects, changes, request), { encode: asXml });
  return { ...standIn, objects, changes };
}

function answer(objects: Map<string, StoredObject>, changes: { count: number }, request: StandInRequest): StandInResponse {
  const { method, segments, headers, text } = request;
  const [bucket, ...parts] = segments;
  if (bucket !== 'acme') return refusal(404, 'NoSuchBucket', 'The specified bucket does not exist');
  const key = parts.join('/');
  if (key === '') return listOf(objects, request);
  const known = objects.get(key);
  if (method === 'DELETE') {
    changes.count += 1;
    objects.delete(key);
    return { status: 204 };
  }
  if (method === 'PUT') {
    const isUnmet =
      (headers['if-none-match'] === '*' && known !== undefined) ||
      (headers['if-match'] !== undefined && known !== undefined && known.etag !== headers['if-match']);
    if (isUnmet) return refusal(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
    if (headers['if-match'] !== undefined && known === undefined) return refusal(404, 'NoSuchKey', 'The specified key does not exist.');
    const etag = `"${hash('md5', text)}"`;
    changes.count += 1;
    const own = Object.fromEntries(Object.entries(headers).filter(([name]) => kept.test(name)));
    objects.set(key, { text, etag, headers: own, modifiedAt: new Date('2026-11-30T10:00:00Z') });
    return { status: 200, headers: { etag } };
  }
  if (known === undefined) return method === 'HEAD' ? { status: 404 } : refusal(404, 'NoSuchKey', 'The specified key does not exist.');
  const facts = { ...known.headers, etag: known.etag, 'last-modified': known.modifiedAt.toUTCString() };
  return {
    status: 200,
    headers: { ...facts, 'content-length': String((known.bytes ?? Buffer.from(known.text)).length) },
    text: known.text,
    ...(known.bytes === undefined ? {} : { bytes: known.bytes }),
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
function listOf(objects: ReadonlyMap<string, StoredObject>, { query }: StandInRequest): StandInResponse {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const size = Number(query.get('max-keys') ?? 1_000);
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).toSorted();
  const page = keys.slice(0, size);
  const isTruncated = keys.length > size;
  return {
    status: 200,
    body: {
      ListBucketResult: {
        Name: 'acme',
        Prefix: prefix,
        KeyCount: String(page.length),
        MaxKeys: String(size),
        IsTruncated: String(isTruncated),
        ...(isTruncated ? { NextContinuationToken: page.at(-1)! } : {}),
        Contents: page.map((key) => {
          const { etag, text, modifiedAt } = objects.get(key)!;
          return { Key: key, LastModified: modifiedAt.toISOString(), ETag: etag, Size: String(Buffer.byteLength(text)) };
        }),
      },
    },
  };
}
