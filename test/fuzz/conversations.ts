import { randomBytes } from 'node:crypto';
import { signStandardWebhook } from '#libs/signatures';
import type { SeededRandom } from '#libs/testing';

/** The bytes of one connection, and what its peer does with them. */
export interface Conversation {
  /** The door, for the report. */
  readonly door: string;
  readonly bytes: Buffer;
  /** How many bytes are written at once. */
  readonly pieceBytes: number;
  /** Resets the connection after this many bytes; undefined: waits for the response. */
  readonly resetAt: number | undefined;
}

/** The parts of a running Millrace that the requests name. */
export interface Target {
  readonly tenant: string;
  readonly apiKey: string;
  /** The secret of the source `helpdesk` of the tenant, of the scheme `standard-webhooks`. */
  readonly secret: string;
}

interface RequestParts {
  method: string;
  path: string;
  headers: [string, string][];
  body: Buffer;
}

/** Bodies that some part of some system could not carry: deep, long, numeric, of odd texts, of no JSON at all. */
function payloadOf(random: SeededRandom): string {
  const depth = random.pick([100, 127, 128, 129, 250, 10_000, 100_000]);
  const values: (() => string)[] = [
    () => '['.repeat(depth) + ']'.repeat(depth),
    () => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth),
    () => random.pick(['1e400', '-1e-400', '9007199254740993', '1'.repeat(random.below(5_000) + 1), '-0', '1.0', '01', '1e', '.5', 'NaN']),
    () =>
      JSON.stringify(
        random.pick(['\u0000', '\ud800', '\udfff x', '\u202e', '__proto__', 'constructor', '<'.repeat(60_000), ',"'.repeat(20_000)]),
      ),
    () => `"${'\\u0000'.repeat(random.below(100))}"`,
    () => `"${'x'.repeat(random.below(1_200_000))}"`,
    () => `[${random.pick(['1,', '1.0,', '"",']).repeat(random.below(200_000))}1]`,
    () => random.pick(['a=&', 'payload=[]&', '&', '%00=%zz&']).repeat(random.below(100_000)),
    () => `{${Array.from({ length: random.below(5_000) }, (_, at) => `"k${at}":[${at}]`).join(',')}}`,
    () => '{"__proto__":{"a":1},"constructor":{"prototype":{"a":1}},"toString":1}',
    () => random.pick(['', ' ', '{', '"', '[1,]', '{"a"}', 'null', 'true', '\ufeff{}', '{} {}', '{"a":1,"a":2}']),
  ];
  return random.pick(values)();
}

const eventOf = (random: SeededRandom, data: string): string =>
  `{"specversion":"1.0","id":"${random.below(1e9)}","source":"tickets","type":"ticket.opened","time":"${random.pick([
    '2026-01-31T12:00:00Z',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+23:59',
    '9999-12-31T23:59:60Z',
    'yesterday',
  ])}","subject":"c${random.below(5)}","data":${data}}`;

const queries = (random: SeededRandom): string =>
  random.pick([
    '{ events(first: 20) { nodes { id data runs { id steps { id } } timeline { title } } } }',
    '{ node(id: "constructor") { id } }',
    `{ ${'a'.repeat(1)}: event(id: "${'x'.repeat(random.below(5_000))}\\u0000") { id } }`,
    `{ ${Array.from({ length: random.below(500) + 1 }, (_, at) => `a${at}: __typename`).join(' ')} }`,
    '{ events { nodes '.repeat(random.below(200)),
    'query ($f: EventFilter) { events(first: 1, filter: $f) { nodes { id } } }',
    'subscription { eventChanged { event { id } } }',
    'fragment a on Event { ...b } fragment b on Event { ...a } { events(first: 1) { nodes { ...a } } }',
    '',
  ]);

function webhook(random: SeededRandom, { tenant, secret }: Target): RequestParts {
  const data = payloadOf(random);
  const body = random.pick([`{"type":"ticket.created","data":${data}}`, `{"data":{"customer":${data}}}`, data]);
  const signed = signStandardWebhook(secret, { id: `msg_${random.below(1e9)}`, timestampSeconds: Math.floor(Date.now() / 1_000), body });
  return {
    method: 'POST',
    path: `/webhooks/${tenant}.helpdesk`,
    headers: [
      ['content-type', random.pick(['application/json', 'application/json', 'application/x-www-form-urlencoded', 'text/plain'])],
      ...Object.entries(signed),
    ],
    body: Buffer.from(body),
  };
}

function cloudEvents(random: SeededRandom, { apiKey }: Target): RequestParts {
  const authorization: [string, string] = ['authorization', `Bearer ${apiKey}`];
  const data = payloadOf(random);
  const shapes: (() => Omit<RequestParts, 'method' | 'path'>)[] = [
    () => ({ headers: [['content-type', 'application/cloudevents+json']], body: Buffer.from(eventOf(random, data)) }),
    () => ({
      headers: [['content-type', 'application/cloudevents-batch+json']],
      body: Buffer.from(`[${Array.from({ length: random.below(4) }, () => eventOf(random, data)).join(',')}]`),
    }),
    () => ({
      headers: [
        ['content-type', random.pick(['application/json', 'text/plain', 'application/octet-stream', 'application/x-www-form-urlencoded'])],
        ['ce-specversion', '1.0'],
        ['ce-id', String(random.below(1e9))],
        ['ce-source', 'tickets'],
        ['ce-type', 'ticket.opened'],
        ['ce-subject', random.pick(['c1', '%00', '%zz', '-', '-/tickets', '"c\\"1"'])],
      ],
      body: Buffer.from(data),
    }),
  ];
  const { headers, body } = random.pick(shapes)();
  return { method: 'POST', path: '/v1/events', headers: [authorization, ...headers], body };
}

function graphql(random: SeededRandom, { apiKey }: Target): RequestParts {
  const variables = random.pick(['{}', `{"f":{"customer":"\\u0000"}}`, `{"f":${payloadOf(random)}}`]);
  return {
    method: 'POST',
    path: '/graphql',
    headers: [
      ['authorization', `Bearer ${apiKey}`],
      ['content-type', 'application/json'],
      ['accept', random.pick(['application/json', 'text/event-stream', 'application/graphql-response+json', '*/*'])],
      ['accept-encoding', random.pick(['gzip', 'br;q=0', 'zstd', 'identity'])],
    ],
    body: Buffer.from(`{"query":${JSON.stringify(queries(random))},"variables":${variables}}`),
  };
}

function model(random: SeededRandom): RequestParts {
  return {
    method: 'POST',
    path: random.pick(['/local-model/v1/chat/completions', '/local-model/v1/responses']),
    headers: [['content-type', 'application/json']],
    body: Buffer.from(`{"model":"local/rules-1","messages":[{"role":"user","content":${payloadOf(random)}}]}`),
  };
}

function other(random: SeededRandom): RequestParts {
  return {
    method: random.pick(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE', 'BREW']),
    path: random.pick([
      '/',
      '/graphql',
      '/metrics',
      '/readyz',
      '/v1/events',
      '/webhooks/a.b',
      '/nope',
      '/%00',
      '/%zz',
      `/${'x'.repeat(9_000)}`,
      '*',
    ]),
    headers: [['accept', random.pick(['text/html', 'application/json'])]],
    body: Buffer.alloc(0),
  };
}

const makers: Readonly<Record<string, (random: SeededRandom, target: Target) => RequestParts>> = {
  webhook,
  cloudEvents,
  graphql,
  model,
  other,
};

/** Changes of the head that clients, proxies and attackers make. */
const headMutations: ((random: SeededRandom, parts: RequestParts) => void)[] = [
  () => undefined,
  () => undefined,
  (_, parts) => parts.headers.push(['connection', 'Upgrade'], ['upgrade', 'h2c'], ['http2-settings', 'AAMAAABkAAQAAP__']),
  (_, parts) =>
    parts.headers.push(
      ['connection', 'Upgrade'],
      ['upgrade', 'websocket'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', randomBytes(16).toString('base64')],
    ),
  (random, parts) => parts.headers.push(['content-encoding', random.pick(['gzip', 'br', 'x', ''])]),
  (random, parts) =>
    parts.headers.push(['content-type', random.pick(['text/html', 'application/json; charset=utf-16', 'a', ';', 'multipart/form-data'])]),
  (random, parts) => parts.headers.push([`x-${random.below(9)}`, 'y'.repeat(random.below(20_000))]),
  (random, parts) => parts.headers.push(['authorization', random.pick(['Bearer', 'Basic eA==', `Bearer mr_${'x'.repeat(200)}`])]),
  (_, parts) => parts.headers.push(['expect', '100-continue']),
  (_, parts) => parts.headers.push(['traceparent', `00-${'0'.repeat(32)}-${'f'.repeat(16)}-01`]),
];

/** One conversation drawn from `random`: a request that is valid but for what was drawn, and how its peer behaves. */
export function drawConversation(random: SeededRandom, target: Target): Conversation {
  const door = random.pick(Object.keys(makers));
  const parts = makers[door]!(random, target);
  random.pick(headMutations)(random, parts);
  const bytes = mangled(random, wireOf(random, parts));
  return {
    door,
    bytes,
    pieceBytes: random.pick([1 << 20, 1 << 20, 65_536, Math.max(1, Math.ceil(bytes.length / 50))]),
    resetAt: random.below(4) === 0 ? random.below(bytes.length + 1) : undefined,
  };
}

function wireOf(random: SeededRandom, { method, path, headers, body }: RequestParts): Buffer {
  const isChunked = random.below(6) === 0;
  const length = random.below(20) === 0 ? String(random.pick([0, body.length + 100, 2 ** 40, -1])) : String(body.length);
  const framing: [string, string] = isChunked ? ['transfer-encoding', 'chunked'] : ['content-length', length];
  const lines = [['host', 'millrace'] as const, ...headers, framing].map(([name, value]) => `${name}: ${value}`);
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (!isChunked) return Buffer.concat([head, body]);
  return Buffer.concat([head, Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]);
}

/** In one of four, single bytes are changed, left out or put in. */
function mangled(random: SeededRandom, bytes: Buffer): Buffer {
  if (random.below(4) > 0 || bytes.length === 0) return bytes;
  const changed = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0; left -= 1) changed[random.below(changed.length)] = random.below(256);
  const cut = random.below(changed.length);
  return random.below(3) === 0 ? Buffer.concat([changed.subarray(0, cut), changed.subarray(cut + 1)]) : changed;
}
