import { expect, test } from 'vitest';
import { parseBody } from './event-data.js';

const parse = (contentType: string, body: string | Buffer) => parseBody(contentType, Buffer.from(body));

test('a body is read by its content type', () => {
  expect(parse('application/json; charset=utf-8', '{"a":1}')).toEqual({ a: 1 });
  expect(parse('application/vnd.acme.order+json', '[1]')).toEqual([1]);
  expect(parse('application/x-www-form-urlencoded', 'a=1&b=x+y&b=%C3%BC&__proto__=p')).toEqual({
    a: '1',
    b: ['x y', 'ü'],
    ['__proto__']: 'p',
  });
  expect(parse('text/plain', 'hello')).toBe('hello');
  expect(parse('application/soap+xml', '<s:a xmlns:s="urn:x"><b>1</b><b>2</b></s:a>')).toEqual({ a: { b: ['1', '2'] } });
  expect(parse('application/octet-stream', Buffer.from([0xff, 0]))).toBeNull();
});

test('a byte order mark before JSON is not part of it', () => {
  expect(parse('application/json', '\uFEFF{"a":1}')).toEqual({ a: 1 });
});

test('XML that is not read stays text: an external entity, no end, too long, too deep', () => {
  const long = `<a>${'x'.repeat(256 * 1_024)}</a>`;
  const deep = '<a>'.repeat(200) + '</a>'.repeat(200);
  for (const text of ['<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', '<a>', '', 'text', long, deep]) {
    expect(parse('text/xml', text)).toBe(text);
  }
});

test.each(['application/json', 'application/x-www-form-urlencoded', 'text/plain', 'image/png'])(
  'text is read as its bytes are: %s',
  (contentType) => {
    for (const body of ['{"a":"ü"}', '\uFEFF{"a":1}']) expect(parseBody(contentType, body)).toEqual(parse(contentType, body));
  },
);

test('a form that gives a field as often as fits into a body is read in a time that grows with its length', () => {
  const { a, b } = parseBody('application/x-www-form-urlencoded', `${'a=1&'.repeat(260_000)}b=2`) as { a: string[]; b: string };
  expect([a.length, b]).toEqual([260_000, '2']);
});

test('what says it is JSON and is not is refused', () => {
  expect(() => parse('application/json', 'a=1')).toThrow(SyntaxError);
  expect(() => parse('application/json', '')).toThrow(SyntaxError);
});
