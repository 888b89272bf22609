import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { listen } from 'soap';
import { describe, expect, onTestFinished, test } from 'vitest';
import { document as documentSchema } from '#libs/contracts';
import type { ConnectorDocument, ConnectorSpec } from '#libs/contracts';
import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { probe } from '../connection.probe.js';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { connectorSpecOf } from '../described-connector.js';
import { DescriptionRefused } from '../description.js';
import { ConnectorHarness, failureOf, withoutCredential } from '../harness.conformance.js';
import { asXml, startStandIn } from '../stand-in.js';
import type { StandInRequest, StandInResponse } from '../stand-in.js';
import { xmlToJson } from '#libs/xml';

const xs = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"';

/** A shop: a schema of its own and one that it imports, elements in order, lists, an attribute, a choice, a type that holds itself. */
const schemas = `
  <xs:schema ${xs} targetNamespace="urn:goods" elementFormDefault="qualified">
    <xs:simpleType name="Colour"><xs:restriction base="xs:string"><xs:enumeration value="red"/><xs:enumeration value="blue"/></xs:restriction></xs:simpleType>
    <xs:complexType name="Part">
      <xs:sequence>
        <xs:element name="sku" type="xs:token"/>
        <xs:element name="part" type="g:Part" xmlns:g="urn:goods" minOccurs="0" maxOccurs="unbounded"/>
      </xs:sequence>
      <xs:attribute name="count" type="xs:positiveInteger"/>
    </xs:complexType>
  </xs:schema>
  <xs:schema ${xs} xmlns:t="urn:shop" xmlns:g="urn:goods" targetNamespace="urn:shop" elementFormDefault="qualified">
    <xs:import namespace="urn:goods"/>
    <xs:complexType name="Base"><xs:sequence><xs:element name="id" type="xs:long"/></xs:sequence></xs:complexType>
    <xs:element name="AddOrder">
      <xs:complexType><xs:complexContent><xs:extension base="t:Base"><xs:sequence>
        <xs:element name="note" type="xs:string" nillable="true"/>
        <xs:element name="total" type="xs:decimal"/>
        <xs:choice><xs:element name="colour" type="g:Colour" minOccurs="0"/><xs:element name="plain" type="xs:boolean"/></xs:choice>
        <xs:element name="part" type="g:Part" maxOccurs="unbounded"/>
        <xs:element name="extra" form="unqualified" type="xs:string" minOccurs="0"/>
      </xs:sequence></xs:extension></xs:complexContent></xs:complexType>
    </xs:element>
    <xs:element name="AddOrderResponse">
      <xs:complexType><xs:sequence>
        <xs:element name="id" type="xs:long"/>
        <xs:element name="total" type="xs:decimal"/>
        <xs:element name="accepted" type="xs:boolean"/>
        <xs:element name="line" type="xs:string" minOccurs="0" maxOccurs="unbounded"/>
      </xs:sequence></xs:complexType>
    </xs:element>
    <xs:element name="GetTime"><xs:complexType/></xs:element>
    <xs:element name="GetTimeResponse"><xs:complexType><xs:sequence><xs:element name="time" type="xs:dateTime"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="Convert" type="xs:float"/>
    <xs:element name="Converted" type="xs:float"/>
  </xs:schema>`;

interface WsdlParts {
  readonly types?: string;
  readonly messages?: string;
  readonly operations?: string;
  readonly bound?: string;
  readonly version?: '1.1' | '1.2';
  readonly style?: string;
  readonly root?: string;
  readonly address?: string;
}

const operation = (name: string, output = `${name}Response`): string =>
  `<operation name="${name}"><documentation>About ${name}.</documentation><input message="t:${name}"/><output message="t:${output}"/></operation>`;
const binding = (name: string, body = '<soap:body use="literal"/>', header = ''): string =>
  `<operation name="${name}"><soap:operation soapAction="urn:shop/${name}"/><input>${body}${header}</input><output>${body}</output></operation>`;
const message = (name: string, element = name): string =>
  `<message name="${name}"><part name="parameters" element="t:${element}"/></message>`;

const shop = {
  messages: ['AddOrder', 'AddOrderResponse', 'GetTime', 'GetTimeResponse', 'Convert', 'Converted'].map((name) => message(name)).join(''),
  operations: operation('AddOrder') + operation('GetTime') + operation('Convert', 'Converted'),
  bound: binding('AddOrder') + binding('GetTime') + binding('Convert'),
};

function wsdl({
  types = schemas,
  version = '1.1',
  style = 'document',
  root = '',
  address = 'https://shop.example/soap',
  ...parts
}: WsdlParts = {}) {
  const { messages, operations, bound } = { ...shop, ...parts };
  return `<?xml version="1.0"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:shop" ${xs} targetNamespace="urn:shop"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/${version === '1.1' ? 'soap' : 'soap12'}/">${root}
  <types>${types}</types>${messages}
  <portType name="Shop">${operations}</portType>
  <binding name="ShopBinding" type="t:Shop">
    <soap:binding style="${style}" transport="http://schemas.xmlsoap.org/soap/http"/>${bound}
  </binding>
  <service name="ShopService"><port name="ShopPort" binding="t:ShopBinding"><soap:address location="${address}"/></port></service>
</definitions>`;
}

function spec(source: object, more: object = {}): ConnectorSpec {
  const parsed = documentSchema.parse({
    apiVersion: 'millrace/v1',
    kind: 'Connector',
    metadata: { tenant: 'acme', name: 'shop' },
    spec: { summary: 'A shop.', wsdl: source, ...more },
  }) as ConnectorDocument;
  return connectorSpecOf(parsed.spec);
}

const declared = { getTime: { effect: 'read' }, convert: { effect: 'read' } };
const whole = spec({ document: wsdl(), operations: declared, check: 'getTime' }, { hosts: ['*'] });
const order = { id: 7, note: 'hello', total: 9.5, part: [{ sku: 'a', '@count': 2, part: [{ sku: 'b' }] }] };
const accepted = { Envelope: { Body: { AddOrderResponse: { id: '7', total: '9.50', accepted: '1' } } } };
const sentIn = ({ text }: StandInRequest) =>
  (xmlToJson(text) as { Envelope: { Body: { AddOrder: { note: string; part: { sku: string } } } } }).Envelope.Body.AddOrder;
const fault = (faultcode: string) => ({ Envelope: { Body: { Fault: { faultcode, faultstring: 'no' } } } });
const fault12 = (Value: string) => ({ Envelope: { Body: { Fault: { Code: { Value }, Reason: { Text: 'no' } } } } });

connectorConformance({
  name: 'shop',
  spec: whole,
  start: async () => {
    const orders: string[] = [];
    const standIn = await startStandIn(
      (request) => {
        orders.push(sentIn(request).note);
        return { status: 200, body: accepted };
      },
      { encode: asXml },
    );
    return { ...standIn, orders };
  },
  settings: ({ url }) => ({ base: `${url}/shop` }),
  writes: [{ operation: 'addOrder', input: order, effects: ({ orders }) => orders.length }],
  answers: [
    { as: 'permanent', status: 500, body: fault('soap:Client') },
    { as: 'uncertain', status: 500, body: fault('soap:Server') },
    { as: 'uncertain', status: 500, body: fault12('env:Receiver') },
    { as: 'uncertain', status: 200, body: { html: 'the login page' } },
    { as: 'limited', status: 429, headers: { 'retry-after': String(pauseMs / 1_000) } },
    { as: 'credential', status: 500, body: fault('wsse:FailedAuthentication') },
    { as: 'credential', status: 401, body: fault12('env:Sender') },
  ],
  hostile: [
    { operation: 'addOrder', input: (note) => ({ ...order, note }), seen: (request) => sentIn(request).note },
    { operation: 'addOrder', input: (sku) => ({ ...order, part: [{ sku }] }), seen: (request) => sentIn(request).part.sku },
  ],
});

describe('a test of a connection', () => {
  const html = '<!doctype html><title>Sign in</title>';
  const page = (status: number, text: string, type = 'text/html') => ({ status, text, headers: { 'content-type': type } });
  const found = (body: object) => ({ status: 200, ...asXmlText(body) });
  const asXmlText = (body: object) => ({ text: asXml(body).text, headers: { 'content-type': 'text/xml' } });
  const time = { Envelope: { Body: { GetTimeResponse: { time: '2026-11-30T10:00:00Z' } } } };

  const probed = async (answer: StandInResponse, made = whole) => {
    const standIn = await startStandIn(() => answer);
    onTestFinished(() => standIn.stop());
    const { url } = standIn;
    const opened = new ConnectorHarness({ name: 'shop', spec: made, url, settings: () => ({ base: url }), authorizer: withoutCredential });
    onTestFinished(() => opened.close());
    const { signal } = new AbortController();
    return probe(opened.connection(), { connectors: opened.connectors, renew: () => Promise.resolve(false), signal });
  };

  test('succeeds for the answer of the operation, and for a fault below 500 that refuses the request', async () => {
    expect(await probed(found(time))).toMatchObject({ isAccepted: true, status: 200, message: 'The system took the credential' });
    const refused = await probed({ status: 400, ...asXmlText(fault('soap:Client')) });
    expect(refused).toMatchObject({ isAccepted: true, message: expect.stringContaining('did not refuse the credential') as string });
  });

  test.each<[string, StandInResponse, string | RegExp]>([
    ['a login page', page(200, html), 'The system failed with status 200, an answer that is no SOAP envelope'],
    ['nothing', page(200, ''), 'The system failed with status 200, an answer that is no SOAP envelope'],
    ['a page that is not there', page(404, html), /^The system failed with status 404, an answer that is no SOAP envelope/],
    ['a redirect to a login', page(302, ''), /^The system failed with status 302, an answer that is no SOAP envelope/],
    ['other XML', page(200, '<html/>', 'text/xml'), /no SOAP envelope/],
    ['another element', found({ Envelope: { Body: { Other: {} } } }), /the WSDL says GetTimeResponse/],
    ['a fault of the client with 500', { status: 500, ...asXmlText(fault('soap:Client')) }, /refused the request with status 500, “no”/],
    ['a fault of the server', { status: 500, ...asXmlText(fault('soap:Server')) }, /failed with status 500, “no”/],
    ['a fault of the server with 200', found(fault('soap:Server')), /failed with status 200, “no”/],
    ['a gateway', page(502, html), /failed with status 502/],
    ['a refusal without an envelope', page(401, html), /refused the credential with status 401/],
    ['a page that forbids', page(403, html), /refused the credential with status 403/],
  ])('fails for %s', async (_, answer, said) => {
    const result = await probed(answer);
    expect(result).toMatchObject({ isAccepted: false, status: answer.status });
    expect(result.message).toMatch(said);
  });
});

/** The server of the package `soap`, which reads the same WSDL. */
async function startPeer(
  document: string,
  answers: Record<string, (input: unknown) => object>,
  authenticate?: (security: unknown) => boolean,
) {
  const server: Server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/shop`;
  const seen: [name: string, input: unknown][] = [];
  const methods = Object.entries(answers).map(([name, answer]) => {
    const method = (input: unknown): object => {
      seen.push([name, input]);
      return answer(input);
    };
    return [name, method] as const;
  });
  const service = listen(server, '/shop', { ShopService: { ShopPort: Object.fromEntries(methods) } }, document);
  if (authenticate !== undefined) service.authenticate = authenticate;
  const harness = (made: ConnectorSpec): ConnectorHarness<typeof withoutCredential> => {
    const settings = (): { [name: string]: Json } => ({ base: url });
    const opened = new ConnectorHarness({ name: 'shop', spec: made, url, settings, authorizer: withoutCredential });
    onTestFinished(() => opened.close());
    return opened;
  };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, harness };
}

describe('a service of the package soap, which reads the same WSDL', () => {
  test.each(['1.1', '1.2'] as const)('takes a message of SOAP %s, and its answer has the types of its schema', async (version) => {
    const document = wsdl({ version });
    const { seen, harness } = await startPeer(document, {
      AddOrder: () => ({ id: '9007199254740993', total: '9.50', accepted: true, line: ['only'] }),
      GetTime: () => ({ time: '2026-11-30T10:00:00Z' }),
    });
    const shopping = harness(spec({ document, operations: declared, check: 'getTime' }, { hosts: ['*'] }));
    const { output } = await shopping.run('addOrder', {
      part: [{ '@count': 2, part: [{ sku: 'b' }], sku: 'a' }],
      extra: 'x',
      total: 9.5,
      note: 'n',
      id: 7,
    });
    expect(output).toEqual({
      id: new LosslessNumber('9007199254740993'),
      total: new LosslessNumber('9.50'),
      accepted: true,
      line: ['only'],
    });
    const [[, sent]] = seen as [[string, object]];
    expect(Object.keys(sent)).toEqual(['id', 'note', 'total', 'part', 'extra']);
    expect(sent).toMatchObject({ id: 7, part: [{ attributes: { count: '2' }, sku: 'a', part: [{ sku: 'b' }] }] });
    expect((await shopping.run('getTime', {})).output).toEqual({ time: '2026-11-30T10:00:00Z' });
    expect(await shopping.check()).toBeDefined();
    expect(seen.map(([name]) => name)).toEqual(['AddOrder', 'GetTime', 'GetTime']);
  });

  test('takes a message of rpc style', async () => {
    const part = (name: string, type: string): string => `<part name="${name}" type="${type}"/>`;
    const document = wsdl({
      style: 'rpc',
      messages: `<message name="Add">${part('left', 'xs:int')}${part('right', 'xs:int')}</message><message name="AddResponse">${part('sum', 'xs:int')}</message>`,
      operations: operation('Add'),
      bound: binding('Add', '<soap:body use="literal" namespace="urn:shop"/>'),
    });
    const { seen, harness } = await startPeer(document, { Add: () => ({ sum: 5 }) });
    expect((await harness(spec({ document }, { hosts: ['*'] })).run('add', { right: 3, left: 2 })).output).toEqual({ sum: 5 });
    expect(seen).toEqual([['Add', { left: 2, right: 3 }]]);
  });

  test('answers a fault, which has its meaning', async () => {
    const document = wsdl();
    const { harness } = await startPeer(document, {
      AddOrder: () => {
        throw Object.assign(new Error('no stock'), { Fault: { faultcode: 'soap:Client', faultstring: 'no stock' } });
      },
    });
    const failed = await failureOf(harness(spec({ document }, { hosts: ['*'] })).run('addOrder', order));
    expect(failed).toMatchObject({ code: 'operation.refused', message: expect.stringContaining('no stock') as string });
  });
});

describe('a WSDL becomes a connector', () => {
  test('with its operations, its address and the credentials of SOAP', () => {
    const { base, hosts, settings, auth, operations } = spec({ document: wsdl(), operations: declared });
    expect([base, hosts]).toEqual(['{settings.base}', ['shop.example']]);
    expect(settings['properties']).toMatchObject({ base: { default: 'https://shop.example/soap' } });
    expect(auth.map(({ kind }) => kind)).toContain('wsUsername');
    expect(
      Object.entries(operations).map(([name, { summary, effect, idempotency }]) => [name, summary, effect, idempotency?.class]),
    ).toEqual([
      ['addOrder', 'About AddOrder.', 'write', 'none'],
      ['getTime', 'About GetTime.', 'read', undefined],
      ['convert', 'About Convert.', 'read', undefined],
    ]);
  });

  test('with schemas of what is sent and of what is answered', () => {
    const { addOrder, convert } = whole.operations as Record<'addOrder' | 'convert', ConnectorSpec['operations'][string]>;
    const part = (sent: object): object => ({
      type: 'object',
      ...sent,
      properties: {
        '@count': { type: 'integer', minimum: 1 },
        sku: { type: 'string' },
        part: { type: 'array', items: { $ref: '#/$defs/Part' } },
      },
    });
    expect(addOrder.input).toEqual({
      type: 'object',
      additionalProperties: false,
      properties: {
        id: { type: 'integer' },
        note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        total: { type: 'number' },
        colour: { type: 'string', enum: ['red', 'blue'] },
        plain: { type: 'boolean' },
        part: { type: 'array', items: { $ref: '#/$defs/Part' }, minItems: 1 },
        extra: { type: 'string' },
      },
      required: ['id', 'note', 'total', 'part'],
      $defs: { Part: { ...part({ additionalProperties: false }), required: ['sku'] } },
    });
    expect(addOrder.output).toMatchObject({ required: ['id', 'total', 'accepted', 'line'], properties: { line: { type: 'array' } } });
    expect(convert.input).toMatchObject({ required: ['Convert'] });
  });

  test('and elements are in the namespaces of their schemas, in their order', async () => {
    const standIn = await startStandIn(() => ({ status: 200, body: accepted }), { encode: asXml });
    const settings = (): { [name: string]: Json } => ({ base: standIn.url });
    const harness = new ConnectorHarness({ name: 'shop', spec: whole, url: standIn.url, settings, authorizer: withoutCredential });
    const { output } = await harness.run('addOrder', { ...order, extra: 'e', plain: true });
    const [{ text, headers }] = standIn.requests as [StandInRequest];
    expect(headers['soapaction']).toBe('"urn:shop/AddOrder"');
    expect(text).toContain(
      '<soap:Body><n0:AddOrder xmlns:n0="urn:shop" xmlns:n1="urn:goods"><n0:id>7</n0:id><n0:note>hello</n0:note><n0:total>9.5</n0:total><n0:plain>true</n0:plain>' +
        '<n0:part count="2"><n1:sku>a</n1:sku><n1:part><n1:sku>b</n1:sku></n1:part></n0:part><extra>e</extra></n0:AddOrder></soap:Body>',
    );
    expect(output).toEqual({ id: 7, total: new LosslessNumber('9.50'), accepted: true, line: [] });
    await harness.run('addOrder', { ...order, note: null });
    expect(standIn.requests[1]!.text).toContain('<n0:note xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>');
    standIn.fault({ status: 200, body: { Envelope: { Body: { Other: '' } } } });
    expect(await failureOf(harness.run('addOrder', order))).toMatchObject({ code: 'operation.outputInvalid', isUncertain: true });
    await harness.close();
    await standIn.stop();
  });

  test('whose key goes into the element that the document names', async () => {
    const made = spec(
      { document: wsdl(), operations: { addOrder: { idempotency: { class: 'key' }, keyField: 'note' } } },
      { hosts: ['*'] },
    );
    expect(made.operations['addOrder']!.input['required']).toEqual(['id', 'total', 'part']);
    const standIn = await startStandIn(() => ({ status: 200, body: accepted }), { encode: asXml });
    const settings = (): { [name: string]: Json } => ({ base: standIn.url });
    const harness = new ConnectorHarness({ name: 'shop', spec: made, url: standIn.url, settings, authorizer: withoutCredential });
    const { note: _, ...keyless } = order;
    await harness.run('addOrder', keyless);
    expect(sentIn(standIn.requests[0]!).note).toBe('key-1');
    await harness.close();
    await standIn.stop();
  });

  const type = (content: string): object => ({
    document: wsdl({
      types: schemas.replace(
        '<xs:element name="GetTime"><xs:complexType/>',
        `<xs:element name="GetTime"><xs:complexType>${content}</xs:complexType>`,
      ),
    }),
    only: ['getTime'],
  });

  test.each<[string, object, string[], string]>([
    ['no XML', { document: '<a' }, ['wsdl', 'document'], 'is not read as XML'],
    ['a document type', { document: `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>` }, ['wsdl', 'document'], 'document type (DTD)'],
    ['another document', { document: '<html/>' }, ['wsdl', 'document'], 'must be WSDL 1.1'],
    ['WSDL 2.0', { document: '<description xmlns="http://www.w3.org/ns/wsdl"/>' }, ['wsdl', 'document'], 'is WSDL 2.0'],
    [
      'an import of another WSDL',
      { document: wsdl({ root: '<import namespace="urn:x" location="https://evil.example/x.wsdl"/>' }) },
      ['wsdl', 'document'],
      'nothing is fetched',
    ],
    [
      'a schema of another file',
      { document: wsdl({ types: schemas.replace('<xs:import namespace="urn:goods"/>', '<xs:include schemaLocation="/etc/passwd"/>') }) },
      ['wsdl', 'document'],
      'nothing is fetched',
    ],
    [
      'a schema that is imported and does not stand there',
      { document: wsdl({ types: schemas.replace('namespace="urn:goods"/>', 'namespace="urn:far" schemaLocation="far.xsd"/>') }) },
      ['wsdl', 'document'],
      'far.xsd',
    ],
    [
      'an encoded message',
      { document: wsdl({ bound: binding('GetTime', '<soap:body use="encoded"/>') }) },
      ['wsdl', 'document'],
      'use="literal"',
    ],
    [
      'a header in the envelope',
      {
        document: wsdl({ bound: binding('GetTime', undefined, '<soap:header message="t:GetTime" part="auth" use="literal"/>') }),
        only: ['getTime'],
      },
      ['wsdl', 'only', '0'],
      'header auth',
    ],
    [
      'a type that is not there',
      { document: wsdl({ types: schemas.replace('type="g:Colour"', 'type="g:Color"') }) },
      ['wsdl', 'document'],
      'has no simpleType Color',
    ],
    [
      'a prefix that stands for nothing',
      { document: wsdl({ types: schemas.replace('type="g:Colour"', 'type="x:Colour"') }) },
      ['wsdl', 'document'],
      'declared nowhere',
    ],
    [
      'a type that extends itself',
      {
        document: wsdl({
          types: schemas
            .replace(
              '<xs:complexType name="Base"><xs:sequence><xs:element name="id" type="xs:long"/></xs:sequence>',
              '<xs:complexType name="Base"><xs:group ref="t:g"/>',
            )
            .replace('<xs:import', '<xs:group name="g"><xs:sequence><xs:group ref="t:g"/></xs:sequence></xs:group><xs:import'),
        }),
      },
      ['wsdl', 'document'],
      'in a circle',
    ],
    [
      'a group that is repeated',
      type('<xs:sequence maxOccurs="unbounded"><xs:element name="a" type="xs:int"/><xs:element name="b" type="xs:int"/></xs:sequence>'),
      ['wsdl', 'only', '0'],
      'order JSON does not say',
    ],
    [
      'two elements of one name',
      type('<xs:sequence><xs:element name="a"/><xs:element name="b"/><xs:element name="a"/></xs:sequence>'),
      ['wsdl', 'only', '0'],
      'two places',
    ],
    [
      'an operation that is not there',
      { document: wsdl(), only: ['addOder'] },
      ['wsdl', 'only', '0'],
      'addOder: is no operation of the WSDL; did you mean addOrder? (it has addOrder, getTime, convert)',
    ],
    [
      'a class for one that `only` leaves out',
      { document: wsdl(), only: ['addOrder'], operations: { getTime: { effect: 'read' } } },
      ['wsdl', 'operations', 'getTime'],
      'but `only` leaves it out',
    ],
    [
      'a class for one that is not there',
      { document: wsdl(), operations: { addOder: {} } },
      ['wsdl', 'operations', 'addOder'],
      'no operation of the WSDL',
    ],
    ['a port that is not there', { document: wsdl(), port: 'Other' }, ['wsdl', 'port'], 'has ShopPort'],
    ['a service that is not there', { document: wsdl(), service: 'Other' }, ['wsdl', 'service'], 'has ShopService'],
    [
      'a test that needs an input',
      { document: wsdl(), operations: { addOrder: { effect: 'read' } }, check: 'addOrder' },
      ['wsdl', 'check'],
      'asks for id',
    ],
    [
      'a key without a place',
      { document: wsdl(), only: ['getTime'], operations: { getTime: { idempotency: { class: 'key' }, keyField: 'note' } } },
      ['wsdl', 'only', '0'],
      'no element note',
    ],
  ])('or is refused: %s', (_, source, path, said) => {
    const refusal = (() => {
      try {
        return spec(source);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toBeInstanceOf(DescriptionRefused);
    expect(refusal).toMatchObject({ path, message: expect.stringContaining(said) as string });
  });

  test('and one that is made to take long is refused, or read, in a moment', () => {
    const chain = Array.from(
      { length: 4_000 },
      (_, at) =>
        `<xs:complexType name="T${at + 1}"><xs:complexContent><xs:extension base="t:T${at}"><xs:sequence><xs:element name="e${at}" type="t:T${at}"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>`,
    ).join('');
    const used = Array.from({ length: 4_000 }, (_, at) => `<xs:element name="u${at}" type="t:T${at}"/>`).join('');
    const types = `<xs:schema ${xs} xmlns:t="urn:shop" targetNamespace="urn:shop"><xs:complexType name="T0"/>${chain}<xs:element name="GetTime"><xs:complexType><xs:sequence>${used}</xs:sequence></xs:complexType></xs:element><xs:element name="GetTimeResponse"/></xs:schema>`;
    const one = { messages: message('GetTime') + message('GetTimeResponse'), operations: operation('GetTime'), bound: binding('GetTime') };
    expect(() => spec({ document: wsdl({ ...one, types }) })).toThrow('parts of schemas');
    const spaces = Array.from({ length: 12_000 }, (_, at) => ` xmlns:n${at}="urn:n"`).join('');
    const many = `<x:a xmlns:x="urn:x"${spaces}>${'<x:b xmlns:y="u"/>'.repeat(30_000)}</x:a>`;
    expect(() => spec({ document: wsdl({ types: schemas + many }) })).not.toThrow();
  }, 20_000);

  test('and what it leaves out stands in its limits', () => {
    const bound = binding('AddOrder') + binding('GetTime', '<soap:body use="encoded"/>');
    expect(spec({ document: wsdl({ bound }) }).limits).toEqual([expect.stringContaining('Left out: GetTime, because it is encoded')]);
  });

  test.each([
    [{ document: wsdl(), operations: { addOrder: { idempotency: { class: 'key' } } } }, 'keyField'],
    [{ document: wsdl(), operations: { getTime: { effect: 'read', idempotency: { class: 'none' } } } }, 'idempotency'],
    [{ document: wsdl(), check: 'getTime' }, 'check'],
    [{ document: 'x'.repeat(1_048_577) }, 'document'],
  ])('and a document that contradicts itself does not fit its schema: %#', (source, field) => {
    expect(() => spec(source)).toThrow(field);
  });
});
