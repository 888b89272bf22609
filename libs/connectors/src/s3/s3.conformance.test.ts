import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { ConnectorHarness, withoutCredential } from '../harness.conformance.js';
import { startS3StandIn } from './s3.stand-in.js';
import type { S3StandIn } from './s3.stand-in.js';

const failed = (Code: string) => ({ Error: { Code, Message: 'no' } });
const key = 'orders/2026/o-1.json';
const writes = ({ changes }: S3StandIn): number => changes.count;
const stored = (text: string, headers = {}) => ({ text, etag: `"${text}"`, headers, modifiedAt: new Date(0) });

connectorConformance({
  name: 's3',
  start: startS3StandIn,
  settings: ({ url }) => ({ base: `${url}/acme` }),
  writes: [
    { operation: 'putObject', input: { key, body: { total: 1 } }, effects: ({ objects }) => objects.size },
    { operation: 'createObject', input: { key, text: 'total: 1' }, effects: writes },
    {
      operation: 'replaceObject',
      input: { key, base64: 'AQID', etag: '"old"' },
      prepare: ({ objects }) => void objects.set(key, stored('old')),
      effects: writes,
    },
    {
      operation: 'deleteObject',
      input: { key },
      prepare: ({ objects }) => void objects.set(key, stored('old')).set('other', stored('other')),
      effects: ({ objects }) => (objects.has(key) ? 0 : objects.size),
    },
  ],
  answers: [
    { as: 'permanent', status: 403, body: failed('AccessDenied') },
    { as: 'permanent', status: 412, body: failed('PreconditionFailed') },
    { as: 'permanent', status: 404, body: failed('NoSuchBucket') },
    { as: 'limited', status: 503, headers: { 'retry-after': String(pauseMs / 1_000) }, body: failed('SlowDown') },
    { as: 'limited', status: 503, body: failed('ServiceUnavailable') },
    { as: 'transient', status: 400, body: failed('RequestTimeout') },
    { as: 'uncertain', status: 500, body: failed('InternalError') },
    { as: 'uncertain', status: 502, body: {} },
    { as: 'credential', status: 403, body: failed('InvalidAccessKeyId') },
    { as: 'credential', status: 400, body: failed('ExpiredToken') },
    { as: 'conflict', status: 409, body: failed('ConditionalRequestConflict') },
  ],
  others: [{ status: 404, body: failed('NoSuchKey') }],
  hostile: [
    {
      operation: 'putObject',
      input: (text) => ({ key: `k-${text}`, text: '' }),
      seen: ({ segments }) => segments.slice(1).join('/').slice(2),
    },
    { operation: 'putObject', input: (text) => ({ key, text }), seen: ({ text }) => text },
    {
      operation: 'putObject',
      input: (text) => ({ key, text: '', metadata: { said: text } }),
      seen: ({ headers }) => headers['x-amz-meta-said'],
    },
    { operation: 'replaceObject', input: (etag) => ({ key, text: '', etag }), seen: ({ headers }) => headers['if-match'] },
    { operation: 'listObjects', input: (prefix) => ({ prefix }), seen: ({ query }) => query.get('prefix') },
  ],
  lists: [
    {
      operation: 'listObjects',
      input: { prefix: 'o-' },
      count: 2_100,
      prepare: ({ objects }) => {
        for (let at = 0; at < 2_100; at += 1) objects.set(`o-${at}`, stored(String(at)));
        objects.set('p', stored('p'));
      },
    },
  ],
});

test('an object is read as text, or as its bytes', async () => {
  const standIn = await startS3StandIn();
  const settings = (): { [name: string]: string } => ({ base: `${standIn.url}/acme` });
  const harness = new ConnectorHarness({ name: 's3', url: standIn.url, settings, authorizer: withoutCredential });
  const bytes = Buffer.from([0, 255, 254, 10, 195]);
  standIn.objects.set('image', { ...stored('image'), bytes, headers: { 'content-type': 'image/png' } });
  standIn.objects.set('order', { ...stored('{"a":1}'), headers: { 'content-type': 'application/json' } });
  const { output } = await harness.run('getObject', { key: 'image', as: 'base64' });
  expect(output).toMatchObject({ base64: bytes.toString('base64'), contentType: 'image/png', etag: '"image"' });
  expect(output).not.toHaveProperty('text');
  expect((await harness.run('getObject', { key: 'order', as: 'base64' })).output).toMatchObject({ base64: 'eyJhIjoxfQ==' });
  const read = (await harness.run('getObject', { key: 'order' })).output;
  expect(read).toMatchObject({ text: '{"a":1}', body: { a: 1 } });
  expect(read).not.toHaveProperty('base64');
  expect((await harness.run('getObject', { key: 'none', as: 'base64' })).output).toBeNull();
  const { maxBodyBytes } = harness.spec.operations['getObject']!;
  standIn.objects.set('long', { ...stored('long'), bytes: Buffer.alloc(maxBodyBytes + 1) });
  await expect(harness.run('getObject', { key: 'long', as: 'base64' })).rejects.toThrow(`maxBodyBytes of the operation, ${maxBodyBytes}`);
  await harness.close();
  await standIn.stop();
});

test('Amazon’s own client is satisfied by the stand-in', async () => {
  const standIn = await startS3StandIn();
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
  const s3 = new S3Client({ endpoint: standIn.url, forcePathStyle: true, region: 'eu-central-1', credentials, maxAttempts: 1 });
  const one = { Bucket: 'acme', Key: 'a b/ü.json' };
  const { ETag } = await s3.send(new PutObjectCommand({ ...one, Body: '{}', IfNoneMatch: '*', Metadata: { millrace: 'k' } }));
  await expect(s3.send(new PutObjectCommand({ ...one, Body: '1', IfNoneMatch: '*' }))).rejects.toMatchObject({
    name: 'PreconditionFailed',
  });
  await expect(s3.send(new PutObjectCommand({ ...one, Body: '1', IfMatch: '"x"' }))).rejects.toMatchObject({ name: 'PreconditionFailed' });
  expect(await s3.send(new HeadObjectCommand(one))).toMatchObject({ ETag, ContentLength: 2, Metadata: { millrace: 'k' } });
  const got = await s3.send(new GetObjectCommand(one));
  expect(await got.Body!.transformToString()).toBe('{}');
  await expect(s3.send(new GetObjectCommand({ ...one, Key: 'none' }))).rejects.toMatchObject({ name: 'NoSuchKey' });
  await expect(s3.send(new HeadObjectCommand({ ...one, Key: 'none' }))).rejects.toMatchObject({ name: 'NotFound' });
  for (let at = 0; at < 5; at += 1) standIn.objects.set(`o-${at}`, stored(String(at)));
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket: 'acme', Prefix: 'o-' }))
    keys.push(...Contents.map(({ Key }) => Key!));
  expect(keys).toEqual(['o-0', 'o-1', 'o-2', 'o-3', 'o-4']);
  s3.destroy();
  await standIn.stop();
});
