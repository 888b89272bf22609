import { expect, test } from 'vitest';
import { XmlRefused, parsedXml, xmlText, xmlToJson } from './xml.js';

test('an element is its text, or an object of its attributes, elements and text', () => {
  const text = `<?xml version="1.0"?>
    <s:Order xmlns:s="urn:x" id="1&amp;2" s:kind="a"><s:Line>a</s:Line><s:Line>b &lt;&#x42;</s:Line><Note><![CDATA[<c>]]></Note> text <None/></s:Order>`;
  expect(xmlToJson(text)).toEqual({
    Order: { '@id': '1&2', '@kind': 'a', Line: ['a', 'b <B'], Note: '<c>', None: '', '#text': ' text ' },
  });
});

test('a very long list is read in a moment', () => {
  const read = xmlToJson(`<a>${'<b/>'.repeat(250_000)}</a>`) as { a: { b: string[] } };
  expect(read.a.b).toHaveLength(250_000);
}, 10_000);

test('names that JavaScript gives a meaning are names like others', () => {
  const parsed = xmlToJson('<a><__proto__><polluted>yes</polluted></__proto__></a>');
  expect(Object.keys(parsed['a'] as object)).toEqual(['__proto__']);
  expect(({} as { polluted?: string }).polluted).toBeUndefined();
});

test.each([
  ['a document type', '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'],
  ['entities of its own', '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>'],
  ['an entity that nobody declared', '<a>&b;</a>'],
  ['no end', '<a><b></a>'],
  ['two roots', '<a/><b/>'],
  ['a character that XML does not have', '<a>&#0;</a>'],
  ['no element', 'text'],
  ['nothing', ''],
  ['elements very deep in each other', '<a>'.repeat(100_000) + '</a>'.repeat(100_000)],
  ['too many characters', `<a>${'x'.repeat(1_024 * 1_024)}</a>`],
])('XML with %s is refused', (_, text) => {
  expect(() => parsedXml(text)).toThrow(XmlRefused);
});

test('many elements of one name take a time linear in their number, and deep ones are refused', () => {
  const many = xmlToJson(`<a>${'<b/>'.repeat(100_000)}</a>`) as { a: { b: string[] } };
  expect(many.a.b).toHaveLength(100_000);
  expect(() => xmlToJson('<a>'.repeat(127) + '</a>'.repeat(127))).not.toThrow();
  expect(() => xmlToJson('<a>'.repeat(129) + '</a>'.repeat(129))).toThrow('levels deep');
  expect(() => xmlToJson('<a>1234</a>', 10)).toThrow('more than 10 characters');
});

test('a text comes back from XML as it went in', () => {
  const text = `a <b> & "c" 'd' ]]> \t\r\n ä€😀 \u202E {x} &amp;`;
  expect(xmlToJson(`<a b="${xmlText(text)}">${xmlText(text)}</a>`)).toEqual({ a: { '@b': text, '#text': text } });
  expect(() => xmlText('\u0000')).toThrow(XmlRefused);
  expect(() => xmlText('\ud800')).toThrow(XmlRefused);
});
