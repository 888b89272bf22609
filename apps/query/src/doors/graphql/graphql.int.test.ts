import { once } from 'node:events';
import { connect } from 'node:net';
import { auditServer } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../../test/query/query-server.js';

let server: QueryServer;
let reader: string;

beforeAll(async () => {
  server = await QueryServer.start();
  reader = await server.key('acme', 'read');
  await server.rows.event({ tenant: 'acme', id: 'evt_1' });
});
afterAll(() => server.stop());

test('the server passes every audit of GraphQL over HTTP', async () => {
  const results = await auditServer({
    url: `${server.url}/graphql`,
    fetchFn: (url: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      headers.set('authorization', `Bearer ${reader}`);
      return fetch(url, { ...init, headers });
    },
  });
  const failed = results
    .filter((result) => result.status !== 'ok')
    .map(({ id, name, ...rest }) => `${id} ${name} ${'reason' in rest ? rest.reason : ''}`);
  expect(failed).toEqual([]);
  expect(results.length).toBeGreaterThan(50);
});

describe('who may ask', () => {
  test('without a key the answer is 401 with a challenge, before anything runs', async () => {
    const response = await server.send({ query: 'not even GraphQL' });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'credential.missing', outcome: 'reject' } }] });
  });

  test('without a key the body is not waited for, nor read', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(String(answer)).toMatch(/^HTTP\/1.1 401 .*"code":"credential.missing"/s);
  });

  test('a compressed body is refused with what may be sent instead', async () => {
    const headers = { authorization: `Bearer ${reader}`, 'content-encoding': 'gzip' };
    const response = await server.send({ query: '{ __typename }' }, headers);
    expect([response.status, response.headers.get('accept-encoding')]).toEqual([415, 'identity']);
  });

  test('another method gets 405 with Allow, and an address that is none 404, whatever the body is', async () => {
    for (const method of ['PUT', 'DELETE']) {
      const response = await fetch(`${server.url}/graphql`, { method, body: 'text' });
      expect([method, response.status, response.headers.get('allow')]).toEqual([method, 405, expect.stringContaining('POST')]);
      expect(await response.json()).toMatchObject({ code: 'request.methodNotAllowed' });
    }
    for (const method of ['POST', 'PUT']) {
      const response = await fetch(`${server.url}/nope`, { method, body: '<xml/>', headers: { 'content-type': 'text/xml' } });
      expect([response.status, await response.json()]).toMatchObject([404, { code: 'request.notFound' }]);
    }
  });

  test('a web page may read the response if its origin is allowed', async () => {
    const preflight = (origin: string) =>
      fetch(`${server.url}/graphql`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });
    const own = await preflight(server.url);
    expect([own.status, own.headers.get('access-control-allow-origin'), own.headers.get('access-control-allow-methods')]).toEqual([
      204,
      server.url,
      'GET, POST',
    ]);
    const other = await preflight('https://elsewhere.example');
    expect([other.status, other.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    const asked = await server.send({ query: '{ __typename }' }, { authorization: `Bearer ${reader}`, origin: server.url });
    expect([asked.status, asked.headers.get('access-control-allow-origin'), asked.headers.get('vary')]).toEqual([
      200,
      server.url,
      expect.stringContaining('origin'),
    ]);
    expect((await fetch(`${server.url}/graphql`, { method: 'OPTIONS' })).headers.get('allow')).toContain('POST');
  });

  test('with a key that is none, 401 says that it is not valid', async () => {
    const { status, headers, errors } = await server.ask('mr_test_nope', '{ __typename }');
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer error="invalid_token"']);
    expect(errors?.[0]?.extensions.code).toBe('credential.invalid');
  });

  test('the operator without a tenant is told to name one, and a key for another tenant is forbidden', async () => {
    const operator = await server.send({ query: '{ __typename }' }, { authorization: `Bearer ${server.operatorKey}` });
    expect([operator.status, ((await operator.json()) as { errors: object[] }).errors[0]]).toMatchObject([
      400,
      { extensions: { argument: 'millrace-tenant' } },
    ]);
    const elsewhere = await server.send({ query: '{ __typename }' }, { authorization: `Bearer ${reader}`, 'millrace-tenant': 'beta' });
    expect(elsewhere.status).toBe(403);
  });
});

describe('what a request may be', () => {
  const code = async (query: string, variables?: Record<string, unknown>): Promise<unknown[]> => {
    const { status, errors } = await server.ask(reader, query, variables);
    return [status, errors?.[0]?.extensions.code];
  };

  test('too many tokens, fields at the root, levels or rows are refused before anything runs', async () => {
    expect(await code(`{ ${'__typename '.repeat(2_100)} }`)).toEqual([400, 'request.malformed']);
    expect(await code(`{ ${[...Array(21).keys()].map((n) => `a${n}: __typename`).join(' ')} }`)).toEqual([400, 'request.tooExpensive']);
    expect(await code(`{ node(id: "x") { ... on Event { ${'runs { event { '.repeat(6)} id ${'} }'.repeat(6)} } } }`)).toEqual([
      400,
      'request.tooExpensive',
    ]);
    const query = 'query ($n: Int) { events(first: $n) { nodes { runs { steps { id } } timeline { title } } } }';
    expect(await code(query, { n: 20 })).toEqual([200, undefined]);
    expect(await code(query, { n: 100_000 })).toEqual([400, 'request.tooExpensive']);
  });

  test('a number of rows beyond the limit is refused by name where it is cheap enough to run', async () => {
    const { errors } = await server.ask(reader, '{ events(first: 101) { nodes { id } } }');
    expect(errors?.[0]).toMatchObject({
      message: 'first must be from 1 to 100',
      path: ['events'],
      extensions: { code: 'request.invalid', argument: 'first' },
    });
  });

  test('variables that do not fit are refused', async () => {
    expect(await code('query ($id: ID!) { event(id: $id) { id } }', {})).toEqual([400, 'request.invalid']);
    expect(await code('query ($at: DateTime) { events(filter: { receivedFrom: $at }) { nodes { id } } }', { at: 'yesterday' })).toEqual([
      400,
      'request.invalid',
    ]);
  });

  describe('JSON', () => {
    const apply = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    const operator = () => ({ authorization: `Bearer ${server.operatorKey}`, 'millrace-tenant': uniqueName('tenant') });

    test.each([130, 10_000, 200_000])('in variables that is %i levels deep is refused with the limit', async (depth) => {
      const text = `{"query":${JSON.stringify(apply)},"variables":{"documents":[${nested(depth)}]}}`;
      const response = await server.send(text, operator());
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { code: 'request.malformed', detail: 'The body is nested deeper than 128 levels' },
      ]);
    });

    test.each([129, 800])('in the text of a query that is %i levels deep is refused with the limit', async (depth) => {
      const query = `mutation { applyDocuments(input: { documents: [${nested(depth)}] }) { __typename } }`;
      const response = await server.send({ query }, operator());
      const { errors } = (await response.json()) as { errors: { message: string; extensions: object }[] };
      expect(errors[0]).toMatchObject({ extensions: { code: 'request.invalid' } });
      expect(errors[0]!.message).toContain('128 levels');
    });

    test('with a number that no double is, is refused by its path, whether in variables or in the query', async () => {
      const member = '... on ValidationError { violations { path message } }';
      const violations = [{ path: ['input', 'documents', '0', 'spec', 'n'], message: expect.stringContaining('send it as text') }];
      const text = `{"query":${JSON.stringify(apply.replace('__typename', member))},"variables":{"documents":[{"spec":{"n":9007199254740993}}]}}`;
      const inQuery = `mutation { applyDocuments(input: { documents: [{ spec: { n: 9007199254740993 } }] }) { ${member} } }`;
      for (const body of [text, JSON.stringify({ query: inQuery })]) {
        const response = await server.send(body, operator());
        expect(await response.json()).toEqual({ data: { applyDocuments: { violations } } });
      }
    });

    test('with a double in another form is taken', async () => {
      const response = await server.send('{"query":"query ($n: Int) { events(first: $n) { nodes { id } } }","variables":{"n":2.0}}', {
        authorization: `Bearer ${reader}`,
      });
      expect(await response.json()).toMatchObject({ data: { events: { nodes: [{ id: 'evt_1' }] } } });
    });
  });

  test('batches and bodies that are too large are refused', async () => {
    const headers = { authorization: `Bearer ${reader}` };
    expect((await server.send([{ query: '{ __typename }' }], headers)).status).toBe(400);
    expect((await server.send({ query: `{ __typename } #${'x'.repeat(1_100_000)}` }, headers)).status).toBe(413);
  });

  test('a form post, which a foreign page could send, is refused', async () => {
    const response = await server.send('query=%7B__typename%7D', {
      authorization: `Bearer ${reader}`,
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(response.status).toBe(415);
  });

  test('the schema can be asked for', async () => {
    const data = await server.data<{ __schema: { queryType: { name: string } } }>(
      reader,
      '{ __schema { queryType { name } types { name } } }',
    );
    expect(data.__schema.queryType.name).toBe('Query');
  });
});

test('a request that takes too long is given up with a code that says to try again', async () => {
  const slow = await QueryServer.start({ graphqlTimeoutMs: 100 });
  try {
    const key = await slow.key('acme', 'read');
    await slow.rows.lockEvents(async () => {
      const { status, errors } = await slow.ask(key, '{ events { nodes { id } } }');
      expect([status, errors?.[0]?.extensions]).toEqual([503, { code: 'request.timeout', outcome: 'retry' }]);
    });
  } finally {
    await slow.stop();
  }
});

test('a compiled document gives the same answers as an interpreted one, failures and all', async () => {
  const query = `query ($id: ID!, $first: Int!, $skip: Boolean!) {
    event(id: $id) { id state customer { id key } data @skip(if: $skip) runs { steps { usage { inputTokens } } } timeline { kind title } }
    events(first: $first) { edges { cursor node { __typename id lane } } totalCount { value exact } pageInfo { hasNextPage } }
    node(id: $id) { __typename id ... on Event { type } }
  }`;
  const variables = [
    { id: 'evt_1', first: 1, skip: false },
    { id: 'evt_none', first: 0, skip: true },
  ];
  const answers: string[][] = [[], []];
  for (let time = 0; time < 8; time += 1) {
    for (const [at, values] of variables.entries()) {
      const { data, errors } = await server.ask(reader, query, values);
      answers[at]!.push(JSON.stringify({ data, errors }));
    }
  }
  expect(new Set(answers[0]).size).toBe(1);
  expect(new Set(answers[1]).size).toBe(1);
  expect(answers[1]![0]).toContain('first must be from 1 to 100');
});

test('a compiled document fills in the defaults of input fields that are left out', async () => {
  const query = 'mutation ($input: ApplyDocumentsInput!) { applyDocuments(input: $input) { __typename } }';
  const operator = { operatorIn: uniqueName('tenant') };
  const results: unknown[] = [];
  for (let time = 0; time < 8; time += 1) results.push(await server.ask(operator, query, { input: { documents: ['none'] } }));
  expect(new Set(results.map((result) => JSON.stringify((result as { data: unknown }).data))).size).toBe(1);
  expect(results[7]).toMatchObject({ data: { applyDocuments: { __typename: 'ValidationError' } } });
});

test('a large answer is compressed for who accepts it', async () => {
  const body = JSON.stringify({ query: '{ __schema { types { name description fields { name description } } } }' });
  const headers = { authorization: `Bearer ${reader}`, 'content-type': 'application/json' };
  const answers = await Promise.all(
    ['identity', 'gzip', 'br'].map((encoding) =>
      fetch(`${server.url}/graphql`, { method: 'POST', headers: { ...headers, 'accept-encoding': encoding }, body }),
    ),
  );
  expect(answers.map((answer) => answer.headers.get('content-encoding'))).toEqual([null, 'gzip', 'br']);
  expect(new Set(await Promise.all(answers.map((answer) => answer.text()))).size).toBe(1);
});

test('requests and errors are counted, and readiness asks the database', async () => {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/millrace_graphql_request_duration_seconds_count\{operation="query"\} \d+/);
  expect(metrics).toMatch(/millrace_graphql_errors_total\{code="request\.tooExpensive"\} \d+/);
  expect(await (await fetch(`${server.url}/readyz`)).json()).toMatchObject({ status: 'ok', parts: { 'query storage': 'ok' } });
});
