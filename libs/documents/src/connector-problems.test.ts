import { describe, expect, test } from 'vitest';
import type { Document, DocumentLookup } from '#libs/contracts';
import { testCertificates } from '#libs/testing';
import { connectorDoubts, connectorProblems, usesConnector } from './connector-problems.js';
import { readDocument, uncompilable } from './document-problems.js';

const documentOf = (kind: string, name: string, spec: object): Document => {
  const read = readDocument({ apiVersion: 'millrace/v1', kind, metadata: { tenant: 'acme', name }, spec });
  if ('problems' in read) throw new Error(JSON.stringify(read.problems));
  return read.document;
};

const operation = (more: object = {}): object => ({
  summary: 'Do it.',
  effect: 'write',
  idempotency: { class: 'absolute' },
  input: { type: 'object' },
  request: { method: 'PUT', path: '/things/{input.id}', body: 'input' },
  ...more,
});
const ledgerSpec = {
  summary: 'A ledger.',
  base: 'https://ledger.example/v1',
  hosts: ['ledger.example'],
  auth: [{ kind: 'bearer' }],
  operations: {
    put: operation(),
    upsert: operation({ idempotency: { class: 'upsert' } }),
    notify: operation({ idempotency: { class: 'none' } }),
    find: operation({ effect: 'read', idempotency: undefined, request: { path: '/things' } }),
  },
};
const ledger = documentOf('Connector', 'ledger', ledgerSpec);
const connections = [
  documentOf('Connection', 'books', { connector: 'ledger', auth: { kind: 'bearer', token: { value: 't'.repeat(20) } } }),
  documentOf('Connection', 'api', { connector: 'rest', settings: { base: 'https://api.example' }, auth: { kind: 'none' } }),
];
const find: DocumentLookup = (kind, name) => [ledger, ...connections].find((each) => each.kind === kind && each.metadata.name === name);

const told = async (document: Document): Promise<string[]> =>
  (await connectorProblems(document, find)).map(({ path, message }) => `${path.join('.')}: ${message}`);
const destination = (spec: object): Document => documentOf('Destination', 'd', { kind: 'operation', ...spec });

describe('a destination of the kind operation', () => {
  test.each([
    ['an operation of a connector of the tenant', { connection: 'books', operation: 'put' }],
    ['an upsert in strict order', { connection: 'books', operation: 'upsert', order: 'strict' }],
    ['an upsert whose object is named', { connection: 'books', operation: 'upsert', supersede: 'payload.id' }],
    ['an operation without any promise', { connection: 'books', operation: 'notify' }],
    ['a request whose class is declared', { connection: 'api', operation: 'request', idempotency: { class: 'key' } }],
  ])('may name %s', async (_, spec) => {
    expect(await told(destination(spec))).toEqual([]);
  });

  test.each([
    [
      'an operation that does not exist',
      { connection: 'books', operation: 'upser' },
      'spec.operation: names no operation of ledger: upser; did you mean upsert? (it has put, upsert, notify)',
    ],
    [
      'an operation that only reads',
      { connection: 'books', operation: 'find' },
      'spec.operation: only reads: find; one that writes is needed',
    ],
    ['an upsert in any order', { connection: 'books', operation: 'upsert' }, /^spec\.order: must be strict, or `supersede`/],
    [
      'a class that the operation has',
      { connection: 'books', operation: 'put', idempotency: { class: 'key' } },
      /^spec\.idempotency: .*\(absolute\): leave it out/,
    ],
    ['no class where the input decides', { connection: 'api', operation: 'request' }, /^spec\.idempotency: is missing/],
  ])('may not name %s', async (_, spec, problem) => {
    const [first, ...others] = await told(destination(spec));
    expect(others).toEqual([]);
    if (typeof problem === 'string') expect(first).toBe(problem);
    else expect(first).toMatch(problem);
  });
});

describe('a step of a flow', () => {
  const flow = (step: object): Document => documentOf('Flow', 'f', { steps: [{ id: 's', ...step }] });

  test.each([
    ['an operation that reads, to read', { enrich: { connection: 'books', operation: 'find' } }],
    ['an operation that writes, to act', { call: { connection: 'books', operation: 'put' } }],
    ['a request whose class is declared', { call: { connection: 'api', operation: 'request', idempotency: { class: 'key' } } }],
  ])('may name %s', async (_, step) => {
    expect(await told(flow(step))).toEqual([]);
  });

  test.each([
    [{ enrich: { connection: 'books', operation: 'put' } }, 'enrich.operation: writes: put; one that reads is needed'],
    [
      { enrich: { connection: 'books', operation: 'fin' } },
      'enrich.operation: names no operation of ledger: fin; did you mean find? (it has find)',
    ],
    [{ call: { connection: 'books', operation: 'find' } }, 'call.operation: only reads: find; one that writes is needed'],
    [
      { call: { connection: 'books', operation: 'put', idempotency: { class: 'key' } } },
      'call.idempotency: is what the operation says itself (absolute): leave it out',
    ],
    [
      { call: { connection: 'api', operation: 'request' } },
      'call.idempotency: is missing: the input decides what this operation does, so say what makes it take effect once',
    ],
  ])('may not name %j, also within another step', async (step, problem) => {
    expect(await told(flow(step))).toEqual([`spec.steps.0.${problem}`]);
    const nested = flow({ branch: { cases: [{ when: 'true', steps: [{ id: 'inner', ...step }] }] } });
    expect(await told(nested)).toEqual([`spec.steps.0.branch.cases.0.steps.0.${problem}`]);
  });

  test.each([
    ['{ "method": event.data.method, "path": "/x", "body": event.data }', []],
    ['$merge([event.data, { "pth": 1 }])', []],
    [
      '{ "method": "GET", "pth": event.data.path }',
      [
        expect.stringMatching(/^spec\.steps\.0\.enrich\.input: has pth, which read does not take; did you mean path\? \(it takes .*path/),
        'spec.steps.0.enrich.input: has no path, which read needs',
      ],
    ],
  ])('has the fields that its operation takes, as far as its text tells: %s', async (input, problems) => {
    const given = { connection: 'api', operation: 'read', input };
    expect(await told(flow({ enrich: given }))).toEqual(problems);
  });
});

test('a connection has a credential that its connector takes', async () => {
  const connection = documentOf('Connection', 'books', { connector: 'ledger', auth: { kind: 'none' } });
  expect(await told(connection)).toEqual(['spec.auth.kind: is none, and the connector ledger takes bearer']);
});

describe('a connection whose settings and credential do not work together', () => {
  const basic = { kind: 'basic', username: 'ada', password: { value: 'p'.repeat(20) } };
  const { cert: certificate, key } = testCertificates.client;
  const mtls = { kind: 'mtls', certificate, key: { value: key } };
  const brokers = ['kafka.example.com:9093'];
  const database = { host: 'db.example.com', database: 'shop', statements: { a: { operation: 'read', sql: 'select 1' } } };
  test.each<[string, string, object, object, string[]]>([
    ['a Kafka with a user', 'kafka', { brokers }, basic, []],
    ['a Kafka with a certificate and a user', 'kafka', { brokers }, { ...mtls, and: basic }, []],
    [
      'a Kafka with a certificate and no TLS',
      'kafka',
      { brokers, tls: 'none' },
      mtls,
      ['settings.tls: is none, and a client certificate needs TLS: set `tls: require`'],
    ],
    [
      'PLAIN without TLS',
      'kafka',
      { brokers, tls: 'none', sasl: 'plain' },
      basic,
      ['settings.tls: is none, and PLAIN sends the password as it is: set `tls: require`, or `sasl: scram-sha-512`'],
    ],
    [
      'a mechanism without a user',
      'kafka',
      { brokers, sasl: 'scram-sha-256' },
      { kind: 'none' },
      ['settings.sasl: is set, and `auth` has no user and password to prove: use `kind: basic`, or leave it out'],
    ],
    [
      'a port that is none',
      'kafka',
      { brokers: ['kafka.example.com:70000'] },
      basic,
      ['settings.brokers.0: has a port beyond 65535: kafka.example.com:70000'],
    ],
    [
      'mails with a user and without encryption',
      'smtp',
      { host: 'mail.example.com', tls: 'none' },
      basic,
      ['settings.tls: is none, and a credential is sent encrypted only: set `tls: starttls` or `implicit`'],
    ],
    [
      'a database with a certificate alone',
      'postgres',
      database,
      mtls,
      ['auth.and: is missing: the system asks for a user and a password beside the certificate: `and: { kind: basic, … }`'],
    ],
    [
      'mails by an access token of nobody',
      'smtp',
      { host: 'mail.example.com' },
      { kind: 'bearer', token: { value: 't'.repeat(20) } },
      ['settings.username: is missing: an access token is sent with the user whose it is, usually a mail address'],
    ],
    [
      'a statement of PostgreSQL with places and no values',
      'postgres',
      { ...database, statements: { a: { operation: 'read', sql: 'select $1, $2' } } },
      basic,
      ['settings.statements.a.values: must name a value for each of $1 to $2 in `sql`, in that order; it names none'],
    ],
    [
      'a statement of PostgreSQL with more values than places',
      'postgres',
      { ...database, statements: { a: { operation: 'read', sql: "select $1, '$2'", values: ['id', 'day'] } } },
      basic,
      ['settings.statements.a.values: names values that `sql` does not use: $2 (day); leave them out, or use them'],
    ],
    [
      'a statement of MySQL with another number of values',
      'mysql',
      { ...database, statements: { a: { operation: 'read', sql: "select ?, ?, '?'", values: ['id'] } } },
      basic,
      ['settings.statements.a.values: must name a value for each ? in `sql`, in their order: `sql` has 2; it names id'],
    ],
    ['a database with a certificate and a user', 'mysql', database, { ...mtls, and: basic }, []],
  ])('%s', async (_, connector, settings, auth, problems) => {
    expect(await told(documentOf('Connection', 'system', { connector, settings, auth }))).toEqual(problems.map((one) => `spec.${one}`));
  });
});

describe('a base at a host that the connector does not name', () => {
  const stripe = (base: string): Document =>
    documentOf('Connection', 'pay', {
      connector: 'stripe',
      settings: { base },
      auth: { kind: 'bearer', token: { value: 't'.repeat(20) } },
    });
  const doubted = (document: Document): string[] =>
    connectorDoubts(document, find).map(({ path, message }) => `${path.join('.')}: ${message}`);

  test('is refused where the host is a public one', async () => {
    for (const base of ['https://api.strlpe.com', 'https://203.0.114.7', 'https://api.stripe.com.example.org']) {
      expect(await told(stripe(base))).toEqual([
        expect.stringMatching(
          /^spec.settings.base: is at .*, which is none of the hosts that the connector names: api.stripe.com; correct it/,
        ),
      ]);
      expect(doubted(stripe(base))).toEqual([]);
    }
    expect(await told(stripe('https://api.stripe.com'))).toEqual([]);
  });

  test.each(['http://127.0.0.1:8085', 'http://[::1]:1', 'http://stand-in:80', 'https://stripe.internal', 'http://10.1.2.3'])(
    'is doubted where it may be a stand-in: %s',
    async (base) => {
      expect(await told(stripe(base))).toEqual([]);
      expect(doubted(stripe(base))).toEqual([expect.stringContaining('unless DELIVERY_ALLOWED_URLS of the services allows it')]);
    },
  );

  test('is neither where this installation allows it', async () => {
    const egress = { isAllowed: (url: URL) => url.host === 'proxy.example.com' };
    const document = stripe('https://proxy.example.com');
    expect([await connectorProblems(document, find, egress), connectorDoubts(document, find, egress)]).toEqual([[], []]);
  });

  test('is refused in a connector of the tenant, and looked for in its connections where they say the host', async () => {
    const own = documentOf('Connector', 'own', { ...ledgerSpec, hosts: ['ledger.example.org'] });
    expect(await told(own)).toEqual([expect.stringMatching(/^spec.base: is at ledger.example, which is none of the hosts/)]);
    const settings = { type: 'object', properties: { shop: { type: 'string' } } };
    const byShop = documentOf('Connector', 'shops', {
      ...ledgerSpec,
      base: 'https://{settings.shop}.example.org',
      hosts: ['*.shops.example.org'],
      settings,
    });
    const lookup: DocumentLookup = (kind) => (kind === 'Connector' ? byShop : undefined);
    expect(await connectorProblems(byShop, lookup)).toEqual([]);
    const at = (shop: string): Document =>
      documentOf('Connection', 'mine', {
        connector: 'shops',
        settings: { shop },
        auth: { kind: 'bearer', token: { value: 't'.repeat(20) } },
      });
    expect(await connectorProblems(at('a.shops'), lookup)).toEqual([]);
    expect(await connectorProblems(at('a'), lookup)).toMatchObject([{ path: ['spec', 'settings'] }]);
  });
});

test('a connector whose operations send no envelopes takes no credential that goes into one', async () => {
  const found = await told(documentOf('Connector', 'own', { ...ledgerSpec, auth: [{ kind: 'basic' }, { kind: 'wsUsername' }] }));
  expect(found).toEqual([
    'spec.auth.1.kind: is wsUsername, which goes into SOAP envelopes, and these operations send none: leave it out, give a WSDL in `wsdl`, or use the connector soap',
  ]);
});

test('nor does one with a WSDL whose other requests are none', async () => {
  const { base, operations } = ledgerSpec;
  const mixed = {
    summary: 'A shop.',
    base,
    hosts: ['ledger.example'],
    auth: [{ kind: 'wsUsername' }],
    operations,
    wsdl: { document: '<a/>' },
  };
  expect(await told(documentOf('Connector', 'own', mixed))).toContain(
    'spec.auth.0.kind: is wsUsername, which goes into SOAP envelopes, and the requests in `operations` are none: leave it out, or those',
  );
});

test('a connector whose WSDL is refused says where', async () => {
  const own = { summary: 'A shop.', wsdl: { document: '<a/>' } };
  expect(await told(documentOf('Connector', 'own', own))).toEqual([
    'spec.wsdl.document: must be WSDL 1.1, whose root is `definitions`, and is the element a',
  ]);
});

test('a connector of a tenant cannot take the name of one that Millrace brings along', async () => {
  const rest = documentOf('Connector', 'rest', ledgerSpec);
  expect(await told(rest)).toEqual(['metadata.name: is a connector that Millrace brings along: rest; choose another name']);
});

test('users of a connector are its connections, and the destinations of those', () => {
  const [books, api] = connections as [Document, Document];
  const users = [
    books,
    api,
    destination({ connection: 'books', operation: 'put' }),
    destination({ connection: 'api', operation: 'request' }),
    documentOf('Flow', 'f', { steps: [{ id: 's', enrich: { connection: 'books', operation: 'find' } }] }),
  ];
  expect(users.map((user) => usesConnector(user, ledger as never, find))).toEqual([true, false, true, false, true]);
});

describe('a connector', () => {
  const problems = async (change: object): Promise<string[]> => {
    const read = readDocument({
      apiVersion: 'millrace/v1',
      kind: 'Connector',
      metadata: { tenant: 'acme', name: 'x' },
      spec: { ...ledgerSpec, ...change },
    });
    const found = 'problems' in read ? read.problems : await uncompilable(read.document);
    return found.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  const withOperation = (more: object): object => ({ operations: { put: operation(more) } });

  test.each([
    [
      'a base with a value of the input',
      { base: 'https://{input.host}' },
      'spec.base: reads {input.host}, but there is only settings, account',
    ],
    ['a brace that is left over', { base: 'https://{host' }, 'spec.base: has a brace that is no value such as {settings.name}'],
    ['an operation without a promise', withOperation({ idempotency: undefined }), /idempotency: is missing/],
    ['a key that is not sent', withOperation({ idempotency: { class: 'key' } }), /carries no key: write `\{delivery\.id\}`/],
    [
      'a look-up that does not exist',
      withOperation({ idempotency: { class: 'verify', operation: 'look' } }),
      /names no operation of this connector: look/,
    ],
    ['a path that steps up', withOperation({ request: { method: 'PUT', path: '/a/../b' } }), /path: must not step up/],
    ['a path with a query', withOperation({ request: { method: 'PUT', path: '/a?b' } }), /write the query in `query`/],
    ['a body and a form', withOperation({ request: { method: 'PUT', body: 'input', form: 'input' } }), /a request has one body/],
    ['a body of a GET', withOperation({ request: { method: 'GET', body: 'input' } }), /does not belong to a request with the method GET/],
    ['a header of the credential', withOperation({ request: { method: 'PUT', headers: { Authorization: 'x' } } }), /leave it out/],
    ['an expression that cannot be read', { errors: [{ when: 'response.(', is: 'permanent' }] }, /^spec\.errors\.0\.when: /],
    [
      'a name that an expression does not see',
      { errors: [{ when: 'answer.status = 1', is: 'permanent' }] },
      /reads answer, but there is only/,
    ],
    ['a response in a request', withOperation({ request: { method: 'PUT', body: 'response.body' } }), /reads response, but there is only/],
    ['a schema that is none', withOperation({ input: { type: 'objekt' } }), /^spec\.operations\.put\.input: is not a usable JSON Schema/],
    [
      'certainty of what is no failure of that kind',
      { errors: [{ when: 'true', is: 'permanent', certain: true }] },
      /certain: belongs to a transient failure/,
    ],
  ])('is refused with the field and the remedy: %s', async (_, change, problem) => {
    const [first] = await problems(change);
    if (typeof problem === 'string') expect(first).toBe(problem);
    else expect(first).toMatch(problem);
  });
});
