import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runInTest } from './run-in-test.js';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  path = join(directory, 'all.yaml');
});
afterEach(() => rmSync(directory, { recursive: true }));

const source = `apiVersion: millrace/v1
kind: Source
metadata: { tenant: acme, name: shop }
spec: { scheme: api-key }
`;
const flow = `---
apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: tell }
spec:
  on: { sources: [shop] }
  steps:
    - id: shorten
      map: { expression: event.data }
    - id: tell
      deliver: { destination: crm }
`;

function validate(text: string, ...args: string[]) {
  writeFileSync(path, text);
  return runInTest([...args, 'validate', '-f', path], { directory });
}

test('documents are checked without a server and without a key; a name that the files do not have is only noted', async () => {
  expect(await validate(source + flow)).toEqual({
    code: 0,
    out: '',
    notes: `${path}:15:18 spec.steps.1.deliver.destination: names Destination/crm, which is not in the files; apply looks for it in the tenant\n2 documents checked.`,
  });
});

test('every problem is printed with file, line, column and field', async () => {
  const text = `${source.replace('scheme: api-key', 'schema: api-key')}${flow.replace('event.data', "'$('")}---\n${source}`;
  const { code, out, notes } = await validate(text);
  expect(code).toBe(1);
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^\S+all\.yaml:4:1 spec\.scheme: /),
    expect.stringMatching(/^\S+all\.yaml:13:14 spec\.steps\.0\.map\.expression: /),
    `${path}:19:27 metadata.name: is given twice: acme/Source/shop`,
  ]);
  expect(notes).toContain('3 problems in 3 documents.');
});

test('a wrong shape does not hide what else is wrong in the same document', async () => {
  const schema = `    - id: check\n      validate: { input: event, schema: { type: objekt } }\n`;
  const wrong = flow
    .replace('event.data', "'$('")
    .replace('    - id: tell', `${schema}    - id: tell`)
    .replace('sources: [shop]', 'sources: shop');
  const { code, out } = await validate(source + wrong);
  expect(code).toBe(1);
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^\S+all\.yaml:10:9 spec\.on\.sources: must be a list$/),
    expect.stringMatching(/^\S+all\.yaml:13:14 spec\.steps\.0\.map\.expression: /),
    expect.stringMatching(/^\S+all\.yaml:15:33 spec\.steps\.1\.validate\.schema: is not a usable JSON Schema: type must be one of /),
  ]);
});

test.each([
  'text',
  '[]',
  '{ kind: 5 }',
  '{ kind: Flow, spec: { steps: 5, on: [] } }',
  '{ kind: Destination, spec: { headers: [1], kind: http } }',
])('what has hardly the shape of a document is refused: %s', async (text) => {
  expect((await validate(`a: 1\n---\n${text}`)).code).toBe(1);
});

test('what cannot be read does not hide the problems of the other files', async () => {
  writeFileSync(join(directory, 'a.yaml'), 'kind: Flow\nspec: {\n');
  mkdirSync(join(directory, 'b.yaml'));
  writeFileSync(join(directory, 'c.yaml'), Buffer.from([0x61, 0xff]));
  writeFileSync(path, source.replace('api-key', 'carrier-pigeon'));
  const { code, out, notes } = await runInTest(['validate', '-f', directory], { directory });
  expect([code, notes.split('\n').at(-1)]).toEqual([1, expect.stringMatching(/problems in 1 document\.$/)]);
  expect(out).toMatch(/a\.yaml:3:1 /);
  expect(out).toMatch(/c\.yaml:1:2 is not UTF-8/);
  expect(out).toMatch(/all\.yaml:4:9 spec\.scheme: /);
});

test('with --json a problem is one line of JSON', async () => {
  const { out } = await validate(source.replace('api-key', 'carrier-pigeon'), '--json');
  expect(JSON.parse(out)).toEqual({ at: `${path}:4:9`, field: 'spec.scheme', message: expect.any(String) as string });
});

describe('a connector with a description', () => {
  const ofWsdl = (wsdl: string): string =>
    `apiVersion: millrace/v1\nkind: Connector\nmetadata: { tenant: acme, name: erp }\nspec:\n  summary: The ERP.\n  wsdl: ${wsdl}\n`;
  const wsdl = (more = '', use = 'literal'): string => `<?xml version="1.0"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:shop" targetNamespace="urn:shop" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/">${more}
  <types><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:shop">
    <xs:element name="GetOrder"><xs:complexType><xs:sequence><xs:element name="id" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="GetOrderResponse"><xs:complexType/></xs:element>
  </xs:schema></types>
  <message name="In"><part name="p" element="t:GetOrder"/></message><message name="Out"><part name="p" element="t:GetOrderResponse"/></message>
  <portType name="Shop"><operation name="GetOrder"><input message="t:In"/><output message="t:Out"/></operation></portType>
  <binding name="B" type="t:Shop"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="GetOrder"><soap:operation/><input><soap:body use="${use}"/></input><output><soap:body use="${use}"/></output></operation></binding>
  <service name="S"><port name="P" binding="t:B"><soap:address location="https://erp.example/soap"/></port></service>
</definitions>`;
  const described = (text: string, more = '') => {
    writeFileSync(join(directory, 'orders.wsdl'), text);
    return validate(ofWsdl(`{ documentFile: orders.wsdl${more} }`));
  };

  test('is well if its operations can be made', async () => {
    expect(await described(wsdl(), ', only: [getOrder]')).toMatchObject({ code: 0, out: '' });
  });

  test.each([
    ['a page', '<!doctype html><title>Sign in</title>', '', /spec\.wsdl\.document: is not read as XML/],
    ['other XML', '<html/>', '', /spec\.wsdl\.document: must be WSDL 1\.1/],
    ['an import', wsdl('<import location="other.wsdl"/>'), '', /spec\.wsdl\.document: imports other\.wsdl/],
    ['encoded messages', wsdl('', 'encoded'), '', /spec\.wsdl\.document: has no operation that can be sent/],
    ['a name that is none', wsdl(), ', only: [getOrders]', /spec\.wsdl\.only\.0: getOrders: .*did you mean getOrder\?/],
    [
      'a key without a place',
      wsdl(),
      ', operations: { getOrder: { idempotency: { class: key }, keyField: key } }',
      /spec\.wsdl\.operations\.getOrder: has no element key for the key: it has id/,
    ],
  ])('is refused as apply refuses it: %s', async (_, text, more, problem) => {
    const { code, out } = await described(text, more);
    expect(code).toBe(1);
    expect(out).toMatch(problem);
  });

  test.each(['wsdl', 'openapi'])('has one problem if the file of its %s cannot be read', async (part) => {
    for (const [named, problem] of [
      ['none.txt', 'names a file that cannot be read'],
      ['../..', 'must name a file below the folder of this one'],
    ] as const) {
      const { code, out, notes } = await validate(ofWsdl(`{ documentFile: ${named} }`).replace('wsdl:', `${part}:`));
      expect([code, notes]).toEqual([1, '1 problem in 1 document.']);
      expect(out).toContain(problem);
      expect(out.split('\n')).toHaveLength(1);
    }
  });
});
