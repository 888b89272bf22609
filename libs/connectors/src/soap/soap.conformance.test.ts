import { expect, test } from 'vitest';
import type { Json } from '#libs/json';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { ConnectorHarness, withoutCredential } from '../harness.conformance.js';
import { asXml, startStandIn } from '../stand-in.js';
import type { StandInRequest } from '../stand-in.js';
import { xmlToJson } from '#libs/xml';

const envelope = (Body: Json) => ({ Envelope: { Header: '', Body } });
const fault = (faultcode: string) => envelope({ Fault: { faultcode, faultstring: 'no' } });
const fault12 = (Value: string, Subcode?: string) =>
  envelope({
    Fault: {
      Code: { Value, ...(Subcode === undefined ? {} : { Subcode: { Value: Subcode } }) },
      Reason: { Text: { '@lang': 'en', '#text': 'no' } },
    },
  });
const messageIn = ({ text }: StandInRequest) =>
  (xmlToJson(text) as { Envelope: { Body: { AddOrder: { note: string; '@kind'?: string } } } }).Envelope.Body.AddOrder;
const order = (note: string) => ({ operation: 'AddOrder', fields: { note, line: ['a', 'b'] }, action: 'urn:add' });

async function startService() {
  const orders: string[] = [];
  const standIn = await startStandIn(
    (request) => {
      orders.push(messageIn(request).note);
      return { status: 200, body: envelope({ AddOrderResponse: { id: String(orders.length) } }) };
    },
    { encode: asXml },
  );
  return { ...standIn, orders };
}

connectorConformance({
  name: 'soap',
  start: startService,
  settings: ({ url }) => ({ base: `${url}/orders`, namespace: 'urn:orders' }),
  writes: [{ operation: 'call', input: order('hello'), effects: ({ orders }) => orders.length }],
  answers: [
    { as: 'permanent', status: 500, body: fault('soap:Client') },
    { as: 'permanent', status: 400, body: fault12('env:Sender') },
    { as: 'permanent', status: 404 },
    { as: 'uncertain', status: 500, body: fault('soap:Server') },
    { as: 'uncertain', status: 200, body: fault12('env:Receiver') },
    { as: 'uncertain', status: 200, body: { html: 'the login page' } },
    { as: 'uncertain', status: 502 },
    { as: 'limited', status: 429, headers: { 'retry-after': String(pauseMs / 1_000) } },
    { as: 'transient', status: 503, headers: { 'retry-after': String(pauseMs / 1_000) } },
    { as: 'credential', status: 500, body: fault('wsse:FailedAuthentication') },
    { as: 'credential', status: 400, body: fault12('env:Sender', 'wsse:InvalidSecurityToken') },
    { as: 'credential', status: 401 },
    { as: 'credential', status: 401, body: fault('soap:Client') },
  ],
  hostile: [
    { operation: 'call', input: order, seen: (request) => messageIn(request).note },
    {
      operation: 'call',
      input: (kind) => ({ operation: 'AddOrder', fields: { '@kind': kind, note: 'x' } }),
      seen: (request) => messageIn(request)['@kind'],
    },
    { operation: 'call', input: (action) => ({ ...order('x'), action }), seen: ({ headers }) => headers['soapaction']!.slice(1, -1) },
  ],
});

async function sent(settings: { [name: string]: string }, input: Json): Promise<StandInRequest> {
  const service = await startStandIn(() => ({ status: 200, body: envelope({ Done: '' }) }), { encode: asXml });
  const all = () => ({ base: service.url, ...settings });
  const harness = new ConnectorHarness({ name: 'soap', url: service.url, settings: all, authorizer: withoutCredential });
  expect((await harness.run('call', input)).output).toEqual({ Done: '' });
  await harness.close();
  await service.stop();
  return service.requests[0]!;
}

test('a message of SOAP 1.1 has its action in a header, and its elements in its namespace', async () => {
  const { headers, text } = await sent(
    { namespace: 'urn:a&b' },
    { operation: 'Add', action: 'urn:add', fields: { n: 1.5, none: null, yes: true } },
  );
  expect([headers['content-type'], headers['soapaction']]).toEqual(['text/xml; charset=utf-8', '"urn:add"']);
  expect(text).toBe(
    '<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header></soap:Header>' +
      '<soap:Body><Add xmlns="urn:a&#38;b"><n>1.5</n><none xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/><yes>true</yes></Add></soap:Body></soap:Envelope>',
  );
});

test('a message of SOAP 1.2 has its action in its type, and elements without a namespace if the service asks for that', async () => {
  const settings = { namespace: 'urn:a', version: '1.2', elements: 'unqualified' };
  const { headers, text } = await sent(settings, { operation: 'Add', action: 'urn:add', fields: { n: 1 } });
  expect([headers['content-type'], headers['soapaction']]).toEqual(['application/soap+xml; charset=utf-8; action="urn:add"', undefined]);
  expect(text).toContain('<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope">');
  expect(text).toContain('<soap:Body><m:Add xmlns:m="urn:a"><n>1</n></m:Add></soap:Body>');
});

test('a name that is none is refused', async () => {
  await expect(sent({}, { operation: 'Add', fields: { 'a b': 1 } })).rejects.toMatchObject({ code: 'operation.inputInvalid' });
});

test('an answer that is too long to be read fails for good where nothing was changed', async () => {
  const service = await startService();
  const settings = () => ({ base: service.url, namespace: 'urn:orders' });
  const harness = new ConnectorHarness({ name: 'soap', url: service.url, settings, authorizer: withoutCredential });
  service.fault('endless');
  await expect(harness.run('read', order('a'))).rejects.toMatchObject({
    code: 'operation.outputInvalid',
    message: expect.stringContaining('maxBodyBytes of the operation, 1048576') as string,
  });
  service.fault('endless');
  await expect(harness.run('call', order('a'))).rejects.toMatchObject({ code: 'operation.unavailable', isUncertain: true });
  await harness.close();
  await service.stop();
});
