import { createHash, createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { Connections } from '#libs/connections';
import { document as documentSchema } from '#libs/contracts';
import type { ConnectionDocument } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { DocumentSecrets } from '#libs/persistence';
import type { Configuration, Database, Stored } from '#libs/persistence';
import { testCertificates } from '#libs/testing';
import { OperationFailure } from './operation.errors.js';
import { TenantConnections } from './tenant-connections.js';

interface Arrived {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The name in the client's certificate. */
  readonly client: string;
}

const { authority, server: certificate, client } = testCertificates;
const secretBox = new SecretBox(randomBytes(32));
const secrets = new DocumentSecrets(secretBox);
const database = { transaction: async () => undefined, separatePool: () => database } as unknown as Database;
const arrived: Arrived[] = [];
let server: Server;
let http: HttpClient;
let url: string;

beforeAll(async () => {
  server = createServer({ ...certificate, ca: authority, requestCert: true, rejectUnauthorized: true }, (incoming, outgoing) => {
    const answer = incoming.url!.includes('list-type')
      ? ['application/xml', '<ListBucketResult></ListBucketResult>']
      : ['application/json', '{}'];
    void note(incoming).then(() => outgoing.writeHead(200, { 'content-type': answer[0]!, etag: '"1"' }).end(answer[1]));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  http = new HttpClient({ allowPrivateAddresses: true });
});
afterAll(async () => {
  await http.close();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

async function note(incoming: IncomingMessage): Promise<void> {
  const { method, url: target, headers, socket } = incoming;
  const { subject } = (socket as TLSSocket).getPeerCertificate();
  arrived.push({ method: method!, target: target!, headers, body: await buffer(incoming), client: String(subject.CN) });
}

/** Runs an operation of a connection as its document says, and returns the request that the system got. */
async function sent(connector: string, auth: object, operation: string, input: Json, base = url): Promise<Arrived> {
  const spec = { connector, settings: { base }, auth };
  const metadata = { tenant: 'acme', name: 'system' };
  const document = secrets.sealed(
    documentSchema.parse({ apiVersion: 'millrace/v1', kind: 'Connection', metadata, spec }) as ConnectionDocument,
  );
  const stored: Stored<ConnectionDocument> = { tenant: 'acme', kind: 'Connection', name: 'system', version: 1, document };
  const configuration = { connection: () => stored, documentsOf: () => () => undefined } as unknown as Configuration;
  const connections = new Connections({ secrets, secretBox, database, allowPrivateAddresses: true });
  const { connectors, open } = new TenantConnections(http, configuration, connections);
  const { signal } = new AbortController();
  arrived.length = 0;
  await connectors.run({ connection: open('acme', 'system'), operation, input, effectKey: 'key-1', signal });
  return arrived[0]!;
}

const mtls = { kind: 'mtls', certificate: client.cert, key: { value: client.key }, ca: authority };
const aws = {
  kind: 'awsSigV4',
  region: 'eu-central-1',
  service: 's3',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: { value: 'secret-123' },
};

test('a client certificate is shown to the system, beside the credential that goes with it', async () => {
  const alone = await sent('rest', mtls, 'read', { path: '/orders' });
  expect(alone).toMatchObject({ method: 'GET', target: '/orders', client: expect.stringMatching(/^client/) as string });
  const both = await sent('rest', { ...mtls, and: { kind: 'bearer', token: { value: 'token-123' } } }, 'read', { path: '/orders' });
  expect(both.headers.authorization).toBe('Bearer token-123');
});

test.each<[string, object]>([
  ['without a certificate', { kind: 'none' }],
  ['at a system whose certificate no known authority has signed', { ...mtls, ca: undefined }],
])('nothing is sent %s', async (_, auth) => {
  await expect(sent('rest', auth, 'read', { path: '/orders' })).rejects.toBeInstanceOf(OperationFailure);
  expect(arrived).toEqual([]);
});

test.each([
  ['an object with a plain name', 'putObject', { key: 'orders/o-1.json', body: { total: 1 } }],
  ['a name that has to be encoded', 'putObject', { key: "o-1/ä b+c'(1)*~.json", text: 'ü' }],
  ['metadata with spaces', 'putObject', { key: 'o-2', text: '', metadata: { said: 'a  b' } }],
  ['a query', 'listObjects', { prefix: 'a b/ü&c=d' }],
])('AWS finds the signature of %s right, as it arrives', async (_, operation, input) => {
  const request = await sent('s3', { ...mtls, and: aws }, operation, input, `${url}/acme`);
  expect(request.client).toMatch(/^client/);
  expect(signatureIn(request)).toBe(signatureOf(request, 'secret-123'));
  expect(signatureIn(request)).not.toBe(signatureOf({ ...request, method: 'POST' }, 'secret-123'));
});

function signatureIn({ headers }: Arrived): string {
  return /Signature=([0-9a-f]{64})$/.exec(headers.authorization!)![1]!;
}

/** The signature that AWS computes from a request: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function signatureOf({ method, target, headers, body }: Arrived, secret: string): string {
  const [, day, region, service, names] = /Credential=[^/]+\/(\d+)\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+)/.exec(
    headers.authorization!,
  )!;
  const [path, query = ''] = target.split('?', 2);
  const strict = (text: string): string =>
    encodeURIComponent(text).replaceAll(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
  const parameters = [...new URLSearchParams(query)].map(([name, value]) => `${strict(name)}=${strict(value)}`).toSorted();
  const signed = names!.split(';').map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, ' ')}\n`);
  const bodyHash = createHash('sha256').update(body).digest('hex');
  expect(headers['x-amz-content-sha256']).toBe(bodyHash);
  const encodedPath = path!
    .split('/')
    .map((part) => strict(decodeURIComponent(part)))
    .join('/');
  const canonical = [method, encodedPath, parameters.join('&'), signed.join(''), names, bodyHash].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const key = [day!, region!, service!, 'aws4_request'].reduce<Buffer | string>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    `AWS4${secret}`,
  );
  return createHmac('sha256', key).update(text).digest('hex');
}
