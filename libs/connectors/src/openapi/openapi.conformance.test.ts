import { describe, expect, test } from 'vitest';
import { document as documentSchema } from '#libs/contracts';
import type { ConnectorDocument, ConnectorSpec } from '#libs/contracts';
import type { Json } from '#libs/json';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { ConnectorHarness, withoutCredential } from '../harness.conformance.js';
import { startStandIn } from '../stand-in.js';
import { DescriptionRefused } from '../description.js';
import { connectorSpecOf } from '../described-connector.js';

const library = `
openapi: 3.0.3
info: { title: Library, version: '1' }
servers: [{ url: 'https://{place}.library.example/v2/', variables: { place: { default: eu } } }]
security: [{ key: [] }]
paths:
  /shelves/{shelf}/books/{book.id}:
    parameters:
      - { $ref: '#/components/parameters/Shelf' }
      - { name: book.id, in: path, required: true, schema: { type: string } }
    get:
      operationId: Get-Book
      summary: Read a book.
      parameters:
        - { name: fields, in: query, explode: false, schema: { type: array, items: { type: string } } }
        - { name: tag, in: query, schema: { type: array, items: { type: string } } }
        - { name: filter, in: query, style: deepObject, schema: { type: object, properties: { year: { type: integer }, by: { type: string } } } }
        - { name: X-Trace, in: header, schema: { type: string } }
        - { name: 'page[size]', in: query, schema: { type: integer } }
      responses: { '200': { description: a book, content: { application/json: { schema: { $ref: '#/components/schemas/Book' } } } } }
    put:
      operationId: putBook
      parameters: [{ name: If-Match, in: header, schema: { type: string } }]
      requestBody: { required: true, content: { 'application/vnd.library+json; charset=utf-8': { schema: { $ref: '#/components/schemas/Book' } } } }
      responses:
        '200': { description: changed, content: { application/json: { schema: { $ref: '#/components/schemas/Book' } } } }
        '204': { description: the same }
    delete:
      parameters: [{ name: session, in: cookie, schema: { type: string } }]
      responses: { '204': { description: gone } }
  /books:
    post:
      operationId: addBook
      parameters: [{ name: Idempotency-Key, in: header, required: true, schema: { type: string } }]
      requestBody: { content: { application/x-www-form-urlencoded: { schema: { type: object, properties: { title: { type: string } } } } } }
      responses: { default: { description: a book, content: { application/json: { schema: { $ref: '#/components/schemas/Book' } } } } }
  /books/search:
    post:
      operationId: searchBooks
      requestBody: { content: { application/json: { schema: { type: object } } } }
      responses: { '200': { description: books, content: { application/json: { schema: { type: array, items: { $ref: '#/components/schemas/Book' } } } } } }
  /covers:
    post:
      operationId: addCover
      requestBody: { content: { multipart/form-data: { schema: { type: object } } } }
      responses: { '204': { description: taken } }
components:
  parameters:
    Shelf: { name: shelf, in: path, required: true, schema: { type: string } }
  securitySchemes:
    key: { type: apiKey, in: header, name: X-Api-Key }
    token: { type: http, scheme: bearer }
    sign: { type: oauth2, flows: { clientCredentials: { tokenUrl: 'https://library.example/token', scopes: {} } } }
    cookie: { type: apiKey, in: cookie, name: sid }
  schemas:
    Book:
      type: object
      required: [id, title]
      properties:
        id: { type: string, readOnly: true }
        title: { type: string }
        note: { type: string, nullable: true, example: x }
        pages: { type: integer, format: int32, minimum: 0, exclusiveMinimum: true }
        next: { $ref: '#/components/schemas/Book' }
`;

function spec(openapi: object, more: object = {}): ConnectorSpec {
  const parsed = documentSchema.parse({
    apiVersion: 'millrace/v1',
    kind: 'Connector',
    metadata: { tenant: 'acme', name: 'library' },
    spec: { summary: 'A library.', openapi, ...more },
  }) as ConnectorDocument;
  return connectorSpecOf(parsed.spec);
}

const declared = {
  addBook: { idempotency: { class: 'key' }, keyHeader: 'Idempotency-Key' },
  putBook: { idempotency: { class: 'absolute' } },
  searchBooks: { effect: 'read' },
};
const whole = spec({ document: library, operations: declared }, { hosts: ['*'] });
const book = { shelf: 's', book_id: 'b/1', body: { title: 'Ada' } };

connectorConformance({
  name: 'library',
  spec: whole,
  start: async () => {
    const books = new Map<string, Json>();
    const keys = new Set<string>();
    const standIn = await startStandIn(({ method, segments, headers, body, text }) => {
      const title = (body as { title?: string } | undefined)?.title ?? new URLSearchParams(text).get('title') ?? '';
      if (method === 'PUT') books.set(segments.join('/'), body!);
      if (method === 'POST') keys.add(headers['idempotency-key']!);
      return { status: 200, body: { id: 'b', title } };
    });
    return { ...standIn, books, keys };
  },
  settings: ({ url }) => ({ base: `${url}/v2` }),
  writes: [
    { operation: 'putBook', input: book, effects: ({ books }) => books.size },
    { operation: 'addBook', input: { body: { title: 'Ada' } }, effects: ({ keys }) => keys.size },
  ],
  answers: [
    { as: 'permanent', status: 422, body: { message: 'no' } },
    { as: 'limited', status: 429, headers: { 'retry-after': String(pauseMs / 1_000) }, body: {} },
    { as: 'transient', status: 503, headers: { 'retry-after': String(pauseMs / 1_000) }, body: {} },
    { as: 'uncertain', status: 500, body: {} },
    { as: 'credential', status: 401, body: {} },
    { as: 'conflict', status: 409, body: {} },
  ],
  hostile: [
    { operation: 'putBook', input: (text) => ({ ...book, book_id: text }), seen: ({ segments }) => segments[4] },
    { operation: 'putBook', input: (title) => ({ ...book, body: { title } }), seen: ({ body }) => (body as { title: string }).title },
    { operation: 'putBook', input: (text) => ({ ...book, If_Match: text }), seen: ({ headers }) => headers['if-match'] },
    { operation: 'getBook', input: (text) => ({ shelf: 's', book_id: 'b', tag: [text] }), seen: ({ query }) => query.get('tag') },
    { operation: 'getBook', input: (by) => ({ shelf: 's', book_id: 'b', filter: { by } }), seen: ({ query }) => query.get('filter[by]') },
    { operation: 'addBook', input: (title) => ({ body: { title } }), seen: ({ text }) => new URLSearchParams(text).get('title') },
  ],
});

describe('an OpenAPI document becomes a connector', () => {
  test('with its operations, and a reason for each one that is left out', () => {
    expect(Object.keys(whole.operations)).toEqual(['getBook', 'putBook', 'deleteShelvesShelfBooksBookId', 'addBook', 'searchBooks']);
    expect(whole.limits).toEqual(['Left out: addCover, because it takes multipart/form-data, and neither JSON nor a form']);
    const classes = Object.entries(whole.operations).map(([name, { effect, idempotency }]) => [name, effect, idempotency?.class]);
    expect(classes).toEqual([
      ['getBook', 'read', undefined],
      ['putBook', 'write', 'absolute'],
      ['deleteShelvesShelfBooksBookId', 'write', 'none'],
      ['addBook', 'write', 'key'],
      ['searchBooks', 'read', undefined],
    ]);
  });

  test('with its servers and the kinds of its credentials', () => {
    const { base, hosts, settings, auth } = spec({ document: library });
    expect([base, hosts]).toEqual(['{settings.base}', ['eu.library.example']]);
    expect(settings['properties']).toMatchObject({ base: { default: 'https://eu.library.example/v2' } });
    expect(auth).toEqual([
      { kind: 'apiKey', note: 'With `in: header` and `name: X-Api-Key`.' },
      { kind: 'bearer' },
      { kind: 'oauth2', note: 'Tokens come from https://library.example/token' },
    ]);
  });

  test('with schemas that ask each side for what it sends', () => {
    const { input } = whole.operations['putBook']!;
    const { output } = whole.operations['getBook']!;
    const made = {
      type: 'object',
      properties: {
        id: { type: 'string' },
        title: { type: 'string' },
        note: { type: ['string', 'null'] },
        pages: { type: 'integer', exclusiveMinimum: 0 },
        next: { $ref: '#/$defs/Book' },
      },
    };
    expect(input['$defs']).toEqual({ Book: { ...made, required: ['title'] } });
    expect(output).toEqual({ $ref: '#/$defs/Book', $defs: { Book: { ...made, required: ['id', 'title'] } } });
    expect(input['required']).toEqual(['shelf', 'book_id', 'body']);
    expect(Object.keys(whole.operations['getBook']!.input['properties'] as object)).toContain('page_size');
  });

  test('and sends parameters in the styles that the document names', async () => {
    const standIn = await startStandIn(() => ({ status: 200, body: { id: 'b', title: 't' } }));
    const settings = (): { [name: string]: string } => ({ base: standIn.url });
    const harness = new ConnectorHarness({ name: 'library', spec: whole, url: standIn.url, settings, authorizer: withoutCredential });
    const place = { shelf: 's', book_id: 'b' };
    await harness.run('getBook', { ...place, fields: ['a', 'b'], tag: ['c', 'd'], filter: { year: 1843 }, X_Trace: 't-1' });
    await harness.run('getBook', place);
    await harness.run('putBook', { ...place, body: { title: 'Ada' } });
    await harness.run('addBook', { body: { title: 'Ada' } });
    const [full, bare, put, add] = standIn.requests;
    expect([...full!.query]).toEqual([
      ['fields', 'a,b'],
      ['tag', 'c'],
      ['tag', 'd'],
      ['filter[year]', '1843'],
    ]);
    expect([full!.headers['x-trace'], [...bare!.query], bare!.headers['x-trace']]).toEqual(['t-1', [], undefined]);
    expect([put!.headers['content-type'], put!.headers['if-match']]).toEqual(['application/vnd.library+json', undefined]);
    expect([add!.headers['content-type'], add!.headers['idempotency-key']]).toEqual(['application/x-www-form-urlencoded', 'key-1']);
    await harness.close();
    await standIn.stop();
  });

  test('and fields of its own go before what the document says', () => {
    const own = { summary: 'Read the list.', effect: 'read', input: {}, request: { path: '/list' } };
    const made = spec(
      { document: library, only: ['getBook'] },
      { base: 'https://library.example/v3', hosts: ['library.example'], auth: [{ kind: 'basic' }], operations: { list: own } },
    );
    expect([made.base, made.hosts, made.auth, Object.keys(made.operations)]).toEqual([
      'https://library.example/v3',
      ['library.example'],
      [{ kind: 'basic' }],
      ['getBook', 'list'],
    ]);
  });

  const of = (paths: object, more: object = {}): object => ({ openapi: '3.1.0', paths, ...more });
  const get = (operation: object): object => of({ '/a': { get: { operationId: 'a', responses: {}, ...operation } } });

  test.each<[string, object, string[], string]>([
    ['another version', { document: { swagger: '2.0' } }, ['openapi', 'document'], 'says Swagger 2.0'],
    ['no YAML', { document: '{ a: [' }, ['openapi', 'document'], 'neither YAML nor JSON'],
    ['no operations', { document: of({}) }, ['openapi', 'document'], 'no operation'],
    [
      'a reference to somewhere else',
      { document: get({ parameters: [{ $ref: 'https://evil.example/p.yaml#/a' }] }) },
      ['openapi', 'document'],
      'outside of it',
    ],
    ['a reference to a file', { document: get({ parameters: [{ $ref: '/etc/passwd' }] }) }, ['openapi', 'document'], 'outside of it'],
    ['a reference to nothing', { document: get({ parameters: [{ $ref: '#/x' }] }) }, ['openapi', 'document'], 'does not have'],
    [
      'a reference to itself',
      { document: of({ '/a': { get: { parameters: [{ $ref: '#/x' }] } } }, { x: { $ref: '#/x' } }) },
      ['openapi', 'document'],
      'back to itself',
    ],
    ['an operation that is not there', { document: library, only: ['getBok'] }, ['openapi', 'only', '0'], 'no operation of the document'],
    ['one that cannot be sent', { document: library, only: ['addCover'] }, ['openapi', 'only', '0'], 'multipart/form-data'],
    [
      'a class for an operation that is not there',
      { document: library, operations: { putBok: {} } },
      ['openapi', 'operations', 'putBok'],
      'no operation of the document',
    ],
    [
      'too many operations',
      { document: of(Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`/p${at}`, { get: { responses: {} } }]))) },
      ['openapi', 'only'],
      '201 operations',
    ],
  ])('or is refused: %s', (_, openapi, path, message) => {
    const refusal = (() => {
      try {
        return spec(openapi);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(DescriptionRefused);
    expect(refusal).toMatchObject({ path, message: expect.stringContaining(message) as string });
  });

  test.each([
    [{ document: library, operations: { putBook: { idempotency: { class: 'key' } } } }, 'keyHeader'],
    [{ document: library, operations: { getBook: { effect: 'read', idempotency: { class: 'none' } } } }, 'idempotency'],
    [{ document: 'x'.repeat(1_048_577) }, 'document'],
  ])('and a document that contradicts itself does not fit its schema: %#', (openapi, field) => {
    expect(() => spec(openapi)).toThrow(field);
  });
});
