import { createHash, randomBytes } from 'node:crypto';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { document as documentSchema } from '#libs/contracts';
import type { ConnectionDocument } from '#libs/contracts';
import { DocumentSecrets } from '#libs/persistence';
import type { Database } from '#libs/persistence';
import { testCertificates } from '#libs/testing';
import type { AuthorizedRequest, OutboundRequest } from './authorizer.js';
import { Connections } from './connections.js';

const secretBox = new SecretBox(randomBytes(32));
const secrets = new DocumentSecrets(secretBox);
const database = { transaction: async () => undefined, separatePool: () => database } as unknown as Database;
const options = { secrets, secretBox, database, allowPrivateAddresses: true };
const { signal } = new AbortController();
const get: OutboundRequest = { method: 'GET', url: 'https://crm.example/api/leads?q=1', headers: { accept: 'application/json' } };

function authorized(auth: object, request: OutboundRequest = get, at = '2026-11-30T00:00:00Z'): Promise<AuthorizedRequest> {
  const connections = new Connections({ ...options, clock: () => Date.parse(at) });
  return connections.of(stored(auth)).authorize(request, signal);
}

function stored(auth: object): Parameters<Connections['of']>[0] {
  const document = documentSchema.parse({
    apiVersion: 'millrace/v1',
    kind: 'Connection',
    metadata: { tenant: 'acme', name: 'crm' },
    spec: { connector: 'rest', settings: { base: 'https://crm.example/api' }, auth },
  }) as ConnectionDocument;
  return { tenant: 'acme', kind: 'Connection', name: 'crm', version: 7, document: secrets.sealed(document) };
}

test('a request of a connection without a credential stays as it is', async () => {
  expect(await authorized({ kind: 'none' })).toEqual({ ...get, secrets: [], version: 7 });
});

test('an API key stands in its header, after its prefix, and takes the place of one that was there', async () => {
  const auth = { kind: 'apiKey', in: 'header', name: 'X-Api-Key', prefix: 'Token ', value: { value: 'k-123456789' } };
  const sent = await authorized(auth, { ...get, headers: { ...get.headers, 'X-API-KEY': 'theirs' } });
  expect(sent.headers).toEqual({ accept: 'application/json', 'x-api-key': 'Token k-123456789' });
  expect(sent.secrets).toEqual(['k-123456789']);
});

test('an API key in the query is encoded, and a parameter of its name that was there is replaced', async () => {
  const auth = { kind: 'apiKey', in: 'query', name: 'key', value: { value: 'a&b=c d' } };
  const sent = await authorized(auth, { ...get, url: 'https://crm.example/api/leads?key=theirs&q=1#part' });
  expect(new URL(sent.url).searchParams.getAll('key')).toEqual(['a&b=c d']);
  expect(new URL(sent.url).searchParams.get('q')).toBe('1');
});

test('user and password are encoded as UTF-8, and the password counts as a secret in each form', async () => {
  const sent = await authorized({ kind: 'basic', username: 'test', password: { value: '123£' } });
  expect(sent.headers['authorization']).toBe('Basic dGVzdDoxMjPCow=='); // RFC 7617 §2.1
  expect(sent.secrets).toEqual(['dGVzdDoxMjPCow==', 'test:123£', '123£']);
});

test('a bearer token stands in authorization', async () => {
  const sent = await authorized({ kind: 'bearer', token: { value: 'token-123' } });
  expect(sent).toMatchObject({ headers: { authorization: 'Bearer token-123' }, secrets: ['token-123'] });
});

test('a client certificate goes with the credential beside it, and its key counts as a secret', async () => {
  const { client, authority } = testCertificates;
  const mtls = { kind: 'mtls', certificate: client.cert, key: { value: client.key }, ca: authority };
  expect(await authorized(mtls)).toEqual({ ...get, tls: { ...client, ca: authority }, secrets: [client.key], version: 7 });
  const both = await authorized({ ...mtls, and: { kind: 'bearer', token: { value: 'token-123' } } });
  expect(both).toMatchObject({ headers: { authorization: 'Bearer token-123' }, tls: { cert: client.cert } });
  expect(both.secrets).toEqual(['token-123', client.key]);
});

test('a refusal of a fixed credential has no newer one', async () => {
  const authorizer = new Connections(options).of(stored({ kind: 'bearer', token: { value: 'token-123' } }));
  expect(await authorizer.refused(await authorizer.authorize(get, signal), signal)).toBe(false);
});

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-examples.html and https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
describe('requests are signed as the published vectors of AWS are', () => {
  const suite = {
    kind: 'awsSigV4',
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: { value: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
    region: 'us-east-1',
    service: 'service',
  };
  test.each([
    ['get-vanilla', 'GET', '', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['post-vanilla', 'POST', '', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'get-vanilla-query-order-key-case',
      'GET',
      '?Param2=value2&Param1=value1',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
  ])('%s', async (_, method, query, signature) => {
    const request = { method, url: `https://example.amazonaws.com/${query}`, headers: {} };
    const { headers } = await authorized(suite, request, '2015-08-30T12:36:00Z');
    const credential = 'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request';
    expect(headers['authorization']).toBe(`${credential}, SignedHeaders=host;x-amz-date, Signature=${signature}`);
  });

  test('post-x-www-form-urlencoded, as text and as bytes', async () => {
    const request = {
      method: 'POST',
      url: 'https://example.amazonaws.com/',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    };
    for (const body of ['Param1=value1', Buffer.from('Param1=value1')]) {
      const sent = await authorized(suite, { ...request, body }, '2015-08-30T12:36:00Z');
      expect(sent.headers['authorization']).toMatch(/SignedHeaders=content-length;content-type;host;x-amz-date, Signature=[0-9a-f]{64}$/);
      expect(sent.headers['content-length']).toBe('13');
      expect(sent.body).toBe(body);
    }
  });

  test.each([
    ['GET Bucket Lifecycle', '?lifecycle=', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['Get Bucket (List Objects)', '?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('%s of S3, with the hash of its body', async (_, query, signature) => {
    const s3 = {
      ...suite,
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: { value: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
      service: 's3',
    };
    const request = { method: 'GET', url: `https://examplebucket.s3.amazonaws.com/${query}`, headers: {} };
    const { headers } = await authorized(s3, request, '2013-05-24T00:00:00Z');
    expect(headers['authorization']).toContain(`Signature=${signature}`);
  });

  test('a session token is sent and signed, and is a secret', async () => {
    const sent = await authorized({ ...suite, sessionToken: { value: 'session-1' } });
    expect(sent.headers['x-amz-security-token']).toBe('session-1');
    expect(sent.headers['authorization']).toContain('x-amz-security-token');
    expect(sent.secrets).toContain('session-1');
  });
});

test('a request to S3 has the signature that Amazon’s own client gives it', async () => {
  const auth = {
    kind: 'awsSigV4',
    region: 'eu-central-1',
    service: 's3',
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: { value: 'secret-123' },
  };
  const s3 = new S3Client({ region: 'eu-central-1', credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret-123' } });
  let theirs: { hostname: string; path: string; query: Record<string, string>; headers: Record<string, string> } | undefined;
  s3.middlewareStack.add(
    () =>
      async ({ request }) => {
        theirs = request as typeof theirs;
        throw new Error('nothing is sent');
      },
    { step: 'deserialize', priority: 'low' },
  );
  await s3.send(new PutObjectCommand({ Bucket: 'acme', Key: "o-1/ä b+c'(1).json", Body: '{}', IfNoneMatch: '*' })).catch(() => undefined);
  const { hostname, path, query, headers } = theirs!;
  const [, signed = ''] = /SignedHeaders=([^,]+)/.exec(headers['authorization']!)!;
  const own = signed.split(';').filter((name) => name !== 'host' && name !== 'x-amz-date');
  const request = {
    method: 'PUT',
    url: `https://${hostname}${path}?${new URLSearchParams(query).toString()}`,
    headers: Object.fromEntries(own.map((name) => [name, headers[name]!])),
  };
  const at = headers['x-amz-date']!.replace(/^(....)(..)(..T..)(..)(..)Z$/, '$1-$2-$3:$4:$5Z');
  expect((await authorized(auth, { ...request, body: '{}' }, at)).headers['authorization']).toBe(headers['authorization']);
  s3.destroy();
});

test.each(['digest', 'text'])('a UsernameToken stands in the header of an envelope, with the password as %s', async (passwordType) => {
  const auth = { kind: 'wsUsername', username: 'a<b', password: { value: `p&"w'123456` }, passwordType };
  const body = '<soap:Envelope><soap:Header></soap:Header><soap:Body>&#60;soap:Header></soap:Body></soap:Envelope>';
  const sent = await authorized(auth, { ...get, method: 'POST', body });
  const text = sent.body as string;
  const of = (name: string): string => new RegExp(`:${name}(?: [^>]*)?>([^<]*)<`).exec(text)![1]!;
  expect(text).toMatch(
    /^<soap:Envelope><soap:Header><wsse:Security .*<\/wsse:Security><\/soap:Header><soap:Body>&#60;soap:Header><\/soap:Body>/,
  );
  expect([of('Username'), of('Created')]).toEqual(['a&#60;b', '2026-11-30T00:00:00.000Z']);
  const secret = Buffer.concat([Buffer.from(of('Nonce'), 'base64'), Buffer.from(`${of('Created')}p&"w'123456`)]);
  const proof = passwordType === 'digest' ? createHash('sha1').update(secret).digest('base64') : 'p&#38;&#34;w&#39;123456';
  expect(of('Password')).toBe(proof);
  expect(text).toContain(passwordType === 'digest' ? '#PasswordDigest"' : '#PasswordText"');
  expect(sent.secrets).toEqual([`p&"w'123456`, proof]);
  const again = await authorized(auth, { ...get, method: 'POST', body });
  expect(again.body).not.toBe(text);
});
