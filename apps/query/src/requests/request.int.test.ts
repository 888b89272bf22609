import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { EventReceived, eventId, newRequestId } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

let tenant: string;
let appended: EventReceived[];
beforeEach(async () => {
  tenant = uniqueName('t');
  appended = [];
  await apply({ kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } });
  await source('the wrong secret');
  const producer = server.part(RecordProducer);
  const append = vi.spyOn(producer, 'append').mockImplementation((_topic, _type, value) => {
    appended.push(value as unknown as EventReceived);
    return Promise.resolve({ partition: 0, offset: '0' });
  });
  return () => append.mockRestore();
});

async function apply(document: object): Promise<void> {
  const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } } }`;
  const applied = await server.data({ operatorIn: tenant }, mutation, { documents: [{ apiVersion: 'millrace/v1', ...document }] });
  expect(applied).toMatchObject({ applyDocuments: { __typename: 'ApplyDocumentsSuccess' } });
}
const source = (
  secret: string,
  spec: object = { scheme: 'custom', custom: { header: 'x-sig', timestampHeader: 'x-at', template: '{timestamp}.{body}' } },
) => apply({ kind: 'Source', metadata: { tenant, name: 'shop' }, spec: { ...spec, secrets: [{ value: secret }], eventId: 'body.id' } });

const secret = 'the right secret';
const receivedAt = new Date(Date.now() - 3 * 86_400_000);
const body = '{"id":"o-1","type":"order.paid","at":1.0}';

/** A request that came three days ago, signed with the right secret at that time. */
async function keep(more: Partial<Parameters<QueryServer['rows']['request']>[0]> = {}, at = receivedAt): Promise<string> {
  const id = newRequestId(at.getTime());
  const seconds = String(Math.floor(at.getTime() / 1_000));
  const signature = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  const headers = { 'X-Sig': signature, 'X-At': seconds, 'content-type': 'application/json' };
  await server.rows.request({ tenant, id, source: 'shop', receivedAt: at, headers, body, ...more });
  return id;
}

type Result = Record<string, unknown> & { __typename: string };
async function command(name: string, input: object, as: Parameters<QueryServer['data']>[0] = { operatorIn: tenant }): Promise<Result> {
  const type = name[0]!.toUpperCase() + name.slice(1);
  const selections: Record<string, string> = {
    verifyRequest: 'verdict refusal { code message } eventIds',
    takeRequest: 'eventIds request { takenAt takenBy }',
    sendTestEvents: 'eventIds',
  };
  const mutation = `mutation ($input: ${type}Input!) { result: ${name}(input: $input) { __typename ... on ${type}Success { ${selections[name]} }
    ... on ValidationError { code violations { path message } } ... on NotFoundError { code message } ... on ForbiddenError { code } ... on UnavailableError { code } } }`;
  return (await server.data<{ result: Result }>(as, mutation, { input })).result;
}
const verify = (id: string) => command('verifyRequest', { id });
const take = (id: string) => command('takeRequest', { id });
const expectedId = () => eventId(tenant, 'shop', { providerEventId: 'o-1' });

describe('a request that was kept before its source was mended', () => {
  const shown = async (id: string) => {
    const { request } = await server.data<{ request: { redacted: string[] } }>(
      { operatorIn: tenant },
      `query ($id: ID!) { request(id: $id) { query headers { name value } redacted body bodyBase64 } }`,
      { id },
    );
    return request;
  };
  const token = (place: object) => source(secret, { scheme: 'custom', custom: { kind: 'token', ...place } });

  test('shows no more what is secret by the source as it is now: a header, a parameter, a text in any of them and in the body', async () => {
    const asIt = { headers: { 'X-Odd': 'a token', 'X-Note': `it is ${secret}` }, query: 'k=a+token&n=1', body: `{"note":"${secret}"}` };
    const id = await keep(asIt);
    expect(await shown(id)).toEqual({
      query: asIt.query,
      headers: Object.entries(asIt.headers).map(([name, value]) => ({ name, value })),
      redacted: [],
      body: asIt.body,
      bodyBase64: Buffer.from(asIt.body).toString('base64'),
    });
    await token({ header: 'x-odd' });
    expect(await shown(id)).toEqual({
      query: 'k=a+token&n=1',
      headers: [
        { name: 'X-Odd', value: '[redacted]' },
        { name: 'X-Note', value: 'it is [redacted]' },
      ],
      redacted: ['header x-odd', 'header x-note', 'body'],
      body: '',
      bodyBase64: '',
    });
    await token({ query: 'k' });
    expect(await shown(id)).toMatchObject({ query: 'k=[redacted]&n=1', redacted: ['header x-note', 'query k', 'body'] });
  });

  test('shows no more a parameter that is a secret by the source as it is now', async () => {
    const id = await keep({ headers: { 'X-Leak': 'a-long-verify-token' }, body: '{"note":"a-long-verify-token"}' });
    const custom = { header: 'x-sig', template: '{body}' };
    await source(secret, { scheme: 'custom', custom, parameters: { verifyToken: { value: 'a-long-verify-token' } } });
    const redacted = ['header x-leak', 'body'];
    expect(await shown(id)).toMatchObject({ headers: [{ name: 'X-Leak', value: '[redacted]' }], redacted, body: '' });
  });

  test('is verified by all that was kept of it, and the list shows as little as the request alone', async () => {
    const id = await keep({ query: `note=${encodeURIComponent(secret)}` });
    await source(secret);
    expect(await verify(id)).toMatchObject({ verdict: 'ACCEPTED', eventIds: [expectedId()] });
    const { requests } = await server.data<{ requests: { nodes: object[] } }>(
      { operatorIn: tenant },
      '{ requests { nodes { query redacted } } }',
    );
    expect(requests.nodes).toEqual([{ query: 'note=[redacted]', redacted: ['query note'] }]);
  });

  test('is shown as it was kept where its source is gone', async () => {
    const id = await keep({ source: 'gone', headers: { 'X-Odd': 'a token' } });
    expect(await shown(id)).toMatchObject({ headers: [{ name: 'X-Odd', value: 'a token' }], redacted: [] });
  });
});

describe('a request that was refused', () => {
  test('is listed with what was kept of it, and found by its source, code and time', async () => {
    const id = await keep({ redacted: ['header authorization'] });
    await keep({ source: 'other', code: 'request.malformed' }, new Date());
    const fields =
      'id source outcome code message method path query headers { name value } redacted clientAddress isVerified bodyBytes body bodyBase64 events { id }';
    const list = async (filter: string) =>
      (
        await server.data<{ requests: { nodes: object[] } }>(
          { operatorIn: tenant },
          `{ requests(filter: ${filter}) { nodes { ${fields} } } }`,
        )
      ).requests.nodes;
    expect(await list('{}')).toHaveLength(2);
    for (const filter of [
      '{ source: "shop" }',
      '{ code: "signature.mismatch" }',
      `{ receivedBefore: "${new Date(Date.now() - 86_400_000).toISOString()}" }`,
    ]) {
      expect(await list(filter)).toMatchObject([
        {
          id,
          outcome: 'REFUSED',
          method: 'POST',
          path: `/webhooks/${tenant}.shop`,
          query: null,
          headers: expect.arrayContaining([{ name: 'content-type', value: 'application/json' }]),
          redacted: ['header authorization'],
          clientAddress: '192.0.2.1',
          isVerified: false,
          bodyBytes: body.length,
          body,
          bodyBase64: Buffer.from(body).toString('base64'),
          events: [],
        },
      ]);
    }
    expect(await list('{ outcome: ACCEPTED }')).toEqual([]);
    expect(await list('{ taken: true }')).toEqual([]);
  });

  test('is refused again until its secret is mended, and then accepted at the time when it came', async () => {
    const id = await keep();
    expect(await verify(id)).toMatchObject({ verdict: 'REFUSED', refusal: { code: 'signature.mismatch' }, eventIds: [] });
    expect(await take(id)).toMatchObject({
      __typename: 'ValidationError',
      code: 'request.refused',
      violations: [{ path: ['input', 'id'], message: expect.stringContaining('signature.mismatch') }],
    });
    await source(secret);
    expect(await verify(id)).toEqual({
      __typename: 'VerifyRequestSuccess',
      verdict: 'ACCEPTED',
      refusal: null,
      eventIds: [expectedId()],
    });
    expect(appended).toEqual([]);
  });

  test('is taken as the event that it is, however often, with a note of who did it', async () => {
    const id = await keep();
    await source(secret);
    const startedAt = Date.now();
    for (let round = 0; round < 2; round += 1) {
      expect(await take(id)).toMatchObject({
        eventIds: [expectedId()],
        request: { takenBy: 'operator', takenAt: expect.any(String) as string },
      });
    }
    expect(appended).toHaveLength(2);
    expect(appended[0]).toEqual(EventReceived.check.parse(appended[0]));
    expect(appended[0]).toMatchObject({ eventId: expectedId(), type: 'order.paid', body, occurredAt: receivedAt.toISOString() });
    expect(Date.parse(appended[0]!.receivedAt)).toBeGreaterThanOrEqual(startedAt);
    const audited = await database.query(
      statement('test.audit', `SELECT action, target FROM audit_entry WHERE tenant_id = $1 AND action LIKE '%Request'`),
      [tenant],
    );
    expect(audited).toEqual([
      { action: 'takeRequest', target: id },
      { action: 'takeRequest', target: id },
    ]);
    await server.rows.event({ tenant, id: expectedId(), source: 'shop' });
    const linked = `{ request(id: "${id}") { events { id } } event(id: "${expectedId()}") { isTest requests { id } } }`;
    expect(await server.data({ operatorIn: tenant }, linked)).toEqual({
      request: { events: [{ id: expectedId() }] },
      event: { isTest: false, requests: [{ id }] },
    });
  });

  test.each([
    [
      'of a source whose scheme is a credential',
      {},
      { scheme: 'custom', custom: { kind: 'token', header: 'x-sig' } },
      'no credential is kept',
    ],
    ['of which the body was cut', { bodyBytes: 70_000 }, undefined, 'only 41 were kept'],
    ['whose signature was not kept', { redacted: ['header x-sig'] }, undefined, 'its header x-sig is needed'],
  ])('%s cannot be verified again, and is not taken', async (_, more, spec, why) => {
    const id = await keep(more);
    await source(secret, spec);
    expect(await verify(id)).toMatchObject({
      verdict: 'UNVERIFIABLE',
      refusal: { code: 'request.unverifiable', message: expect.stringContaining(why) as string },
    });
    expect(await take(id)).toMatchObject({
      code: 'request.unverifiable',
      violations: [{ message: expect.stringContaining(why) as string }],
    });
    expect(appended).toEqual([]);
  });

  test('is not taken where its source is gone, or it was accepted when it came', async () => {
    const accepted = await keep({ outcome: 'accepted', code: null, isVerified: true });
    expect(await take(accepted)).toMatchObject({ code: 'request.invalid' });
    const gone = await keep({ source: 'gone' });
    expect(await verify(gone)).toMatchObject({ __typename: 'NotFoundError', code: 'source.unknown' });
    expect(await take(newRequestId(0))).toMatchObject({ __typename: 'NotFoundError', code: 'request.unknown' });
  });
});

test('a request is sent again as a test event, once for a key, which is marked and another event than its own', async () => {
  const id = await keep({ outcome: 'accepted', code: null, isVerified: true });
  const send = (idempotencyKey: string) => command('sendTestEvents', { id, idempotencyKey });
  const [first, again, other] = [await send('k-1'), await send('k-1'), await send('k-2')];
  expect(first['eventIds']).toEqual(again['eventIds']);
  expect(other['eventIds']).not.toEqual(first['eventIds']);
  expect(first['eventIds']).not.toEqual([expectedId()]);
  expect(appended).toHaveLength(3);
  expect(appended[0]).toMatchObject({
    eventId: (first['eventIds'] as string[])[0],
    isTest: true,
    providerEventId: 'o-1',
    customer: '-/shop',
  });
  expect(await command('sendTestEvents', { id: await keep({ isVerified: true }), idempotencyKey: 'k-1' })).toMatchObject({
    code: 'request.idempotencyMismatch',
  });
});

test('who may only read can neither verify nor take a request', async () => {
  const reader = await server.key(tenant, 'read');
  const id = await keep();
  for (const name of ['verifyRequest', 'takeRequest'])
    expect(await command(name, { id }, reader)).toMatchObject({ __typename: 'ForbiddenError' });
});
