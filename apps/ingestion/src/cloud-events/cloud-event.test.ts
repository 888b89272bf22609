import { describe, expect, test } from 'vitest';
import { BodyMalformed } from '#libs/sources';
import { BatchTooLarge, readCloudEventLines, readCloudEvents } from './cloud-event.js';

const structured = 'application/cloudevents+json';
const batched = 'application/cloudevents-batch+json';
const event = { specversion: '1.0', id: 'e-1', source: 'tickets', type: 'ticket.opened', subject: 'c-1', data: { title: 'Hi' } };
const headersOf = (more: Record<string, string> = {}) => ({
  'ce-specversion': '1.0',
  'ce-id': 'e-1',
  'ce-source': 'tickets',
  'ce-type': 'ticket.opened',
  ...more,
});

const read = (contentType: string | undefined, body: unknown, headers: Record<string, string> = {}) =>
  readCloudEvents({
    headers: contentType === undefined ? headers : { ...headers, 'content-type': contentType },
    rawBody: Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    maxBatch: 3,
  });
/** The field and the problem of a refusal. */
function refusal(...request: Parameters<typeof read>): string {
  try {
    read(...request);
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

describe('the same event', () => {
  const attributes = { 'ce-id': 'e-1', 'ce-source': 'tickets', 'ce-type': 'ticket.opened', 'ce-subject': 'c-1', 'ce-specversion': '1.0' };

  test('is read from structured mode', () => {
    expect(read(`${structured}; charset=utf-8`, event)).toEqual([
      {
        path: '',
        source: 'tickets',
        attributes,
        contentType: 'application/json',
        payload: Buffer.from('{"title":"Hi"}'),
        text: '{"title":"Hi"}',
        data: { title: 'Hi' },
      },
    ]);
  });

  test('is read from binary mode, where the body is the data as it was sent', () => {
    const [read1] = read('application/json', '{ "title": "Hi" }', headersOf({ 'ce-subject': 'c-1' }));
    expect(read1).toMatchObject({ source: 'tickets', attributes, data: { title: 'Hi' }, payload: Buffer.from('{ "title": "Hi" }') });
  });

  test('is read from a batch', () => {
    expect(read(batched, [event, { ...event, id: 'e-2' }]).map(({ attributes: { 'ce-id': id } }) => id)).toEqual(['e-1', 'e-2']);
    expect(read(batched, [])).toEqual([]);
  });
});

describe('data', () => {
  test('may be absent', () => {
    const { data: _, ...without } = event;
    expect(read(structured, without)[0]).toMatchObject({ data: null, payload: Buffer.from('null') });
    expect(read(undefined, '', headersOf())[0]).toMatchObject({
      data: null,
      contentType: 'application/json',
      payload: Buffer.from('null'),
    });
  });

  test('may be text or bytes of any type', () => {
    expect(read(structured, { ...event, datacontenttype: 'text/plain', data: 'Hi' })[0]).toMatchObject({
      data: 'Hi',
      contentType: 'text/plain',
    });
    const { data: _, ...rest } = event;
    const bytes = { ...rest, datacontenttype: 'application/octet-stream', data_base64: '/wA=' };
    expect(read(structured, bytes)[0]).toMatchObject({ data: null, payload: Buffer.from([0xff, 0]) });
    expect(read(structured, { ...rest, data_base64: 'eyJhIjoxfQ==' })[0]).toMatchObject({ data: { a: 1 } });
    expect(read('image/png', Buffer.from([0x89]), headersOf())[0]).toMatchObject({
      contentType: 'image/png',
      payload: Buffer.from([0x89]),
    });
  });
});

describe('what the partner wrote', () => {
  const { data: _, ...context } = event;
  const withData = (data: string): string => `${JSON.stringify(context).slice(0, -1)}, "data" : ${data} }`;
  const data = '{ "id": 9007199254740993, "total":10.00,"rate":1e400, "name": "\\u00e9" }';

  test('is the payload, byte for byte, whatever the content mode', () => {
    expect(read(structured, withData(data))[0]!.payload.toString()).toBe(data);
    expect(read(batched, `[${withData('1.0')} , ${withData(data)}]`).map(({ payload }) => payload.toString())).toEqual(['1.0', data]);
    expect(read('application/json', data, headersOf())[0]!.payload.toString()).toBe(data);
  });

  test('is an extension’s digits, too', () => {
    const text = `${JSON.stringify(event).slice(0, -1)},"sequence":9007199254740993}`;
    expect(read(structured, text)[0]!.attributes['ce-sequence']).toBe('9007199254740993');
  });

  test('is nested as deep as a body may be', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(read(structured, withData(nested(127)))[0]!.payload.toString()).toBe(nested(127));
    for (const depth of [128, 250, 10_000, 200_000]) {
      expect(refusal(structured, withData(nested(depth)))).toBe('body: is nested deeper than 128 levels');
      expect(refusal(batched, `[${withData(nested(depth))}]`)).toBe('body: is nested deeper than 128 levels');
      expect(refusal('application/json', nested(depth + 1), headersOf())).toBe('body: is nested deeper than 128 levels');
      const base64 = Buffer.from(nested(depth + 1)).toString('base64');
      expect(refusal(structured, { ...context, data_base64: base64 })).toBe('data_base64: is nested deeper than 128 levels');
    }
  });
});

test('header values of binary mode are unquoted, then percent-decoded once', () => {
  const headers = headersOf({ 'ce-subject': 'Z%C3%BCrich%20%2525', 'ce-type': '"a \\"quoted\\" type"' });
  expect(read('application/json', '{}', headers)[0]!.attributes).toMatchObject({
    'ce-subject': 'Zürich %25',
    'ce-type': 'a "quoted" type',
  });
  expect(refusal('application/json', '{}', headersOf({ 'ce-subject': '100%' }))).toContain('ce-subject: has a percent sign');
  expect(refusal('application/json', '{}', headersOf({ 'ce-subject': '%FF' }))).toContain('ce-subject: has a percent sign');
});

describe('an Idempotency-Key', () => {
  const { id: _, ...nameless } = event;
  const key = { 'idempotency-key': 'k-1' };

  test('stands for the id of an event that has none, one for each place in a batch', () => {
    expect(read(structured, nameless, key)[0]!.attributes['ce-id']).toBe('k-1');
    expect(read(batched, [nameless, nameless], key).map(({ attributes }) => attributes['ce-id'])).toEqual(['k-1/0', 'k-1/1']);
  });

  test('does not take the place of an id', () => {
    expect(read(structured, event, key)[0]!.attributes['ce-id']).toBe('e-1');
  });

  test('is refused where it is none', () => {
    expect(refusal(structured, nameless, { 'idempotency-key': '' })).toContain('Idempotency-Key: must be 1 to 200 visible characters');
  });
});

describe('a refusal names the field', () => {
  test.each([
    [structured, '{', 'body: is not JSON'],
    [structured, Buffer.from([0x22, 0xff, 0x22]), 'body: is not UTF-8'],
    [structured, [], 'body: is not an object'],
    [structured, { ...event, specversion: '0.3' }, 'specversion: must be 1.0'],
    [structured, { ...event, id: undefined }, 'id: is missing; give the event one, or the request the header Idempotency-Key'],
    [structured, { ...event, source: undefined }, 'source: is missing'],
    [structured, { ...event, id: 7 }, 'id: must be text'],
    [structured, { ...event, type: 7 }, 'type: must be text'],
    [structured, { ...event, subject: 7 }, 'subject: must be text'],
    [structured, { ...event, specversion: 1 }, 'specversion: must be text'],
    [batched, [event, { ...event, id: true }], '1.id: must be text'],
    [structured, { ...event, type: '' }, 'type: must be 1 to 256 characters'],
    [structured, { ...event, subject: 'x'.repeat(257) }, 'subject: must be 1 to 256 characters'],
    [structured, { ...event, time: '31.1.2026' }, 'time: must be RFC 3339'],
    [structured, { ...event, extension: {} }, 'extension: must be text, a number or a boolean'],
    [structured, { ...event, data_base64: 'aGk=' }, 'data_base64: must not stand beside data'],
    [structured, { ...event, data: undefined, data_base64: 'a' }, 'data_base64: must be base64'],
    [structured, { ...event, datacontenttype: 'text/plain' }, 'data: must be text'],
    [batched, event, 'body: is not an array'],
    [batched, [event, 1], '1: is not an object'],
    [batched, [event, { ...event, type: undefined }], '1.type: is missing'],
  ])('%s %j: %s', (contentType, body, problem) => {
    expect(refusal(contentType, body)).toContain(problem);
  });

  test('in binary mode, the header', () => {
    expect(refusal('application/json', '{}', { 'ce-specversion': '1.0' })).toContain('ce-id: is missing');
    expect(refusal('application/json', 'x', headersOf())).toContain('body: is not JSON');
  });

  test('and nothing of what was sent', () => {
    expect(refusal(structured, '{"card":"4242424242424242"')).not.toContain('4242');
    expect(() => read(structured, '{')).toThrow(BodyMalformed);
  });
});

test('what is no CloudEvent is refused with what would be one', () => {
  expect(refusal('application/json', '{}')).toContain(
    `send ${structured}, ${batched}, application/x-ndjson with one event a line, or any type with ce-* headers`,
  );
  expect(refusal('application/cloudevents+xml', '<event/>')).toContain('application/cloudevents+xml is not read here');
});

test('a batch has a limit', () => {
  expect(() => read(batched, [1, 2, 3, 4])).toThrow(BatchTooLarge);
});

test.each(['', '\n \r\n', '\uFEFF'])('JSON Lines without an event are refused with what would be one: %j', (body) => {
  const headers = { 'content-type': 'application/x-ndjson' };
  const lines = (rawBody: Buffer) => readCloudEventLines({ headers, rawBody, maxBatch: 3 });
  expect(() => lines(Buffer.from(body))).toThrow('body: has no event: write one event a line, as JSON');
  expect(lines(Buffer.from(`${body}\n${JSON.stringify(event)}`))).toHaveLength(1);
});

test('a line of JSON Lines that is not UTF-8 is refused by itself, with its number', () => {
  const good = Buffer.from(`${JSON.stringify({ ...event, data: 'ä' })}\n`);
  const headers = { 'content-type': 'application/x-ndjson' };
  const broken = Buffer.from('{"id":"\xff"}\r\n', 'latin1');
  const found = readCloudEventLines({ headers, rawBody: Buffer.concat([good, Buffer.from('\n'), broken, good]), maxBatch: 3 });
  expect(found.map(({ line, found: one }) => [line, one instanceof Error ? one.message : one.data])).toEqual([
    [1, 'ä'],
    [3, 'event: is not UTF-8, as JSON must be'],
    [4, 'ä'],
  ]);
});
