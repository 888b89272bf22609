import { once } from 'node:events';
import { createServer } from 'node:net';
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { sampleSystemsUrl, startSampleSystems } from './sample-systems.js';
import type { SampleSystems } from './sample-systems.js';

const token = 'token-of-the-sample-systems';
let systems: SampleSystems;
beforeEach(async () => {
  systems = await startSampleSystems(token, undefined);
});
afterEach(() => systems.stop());

const get = async (path: string): Promise<unknown> => (await fetch(sampleSystemsUrl(systems) + path)).json();
const put = (path: string, content: unknown, authorization = `Bearer ${token}`) =>
  fetch(sampleSystemsUrl(systems) + path, { method: 'PUT', headers: { authorization }, body: JSON.stringify(content) });
const effects = async (): Promise<string[]> => ((await get('/effects?after=0')) as { text: string }[]).map(({ text }) => text);

test('everybody may look, and only who has the token may write', async () => {
  expect(await get('/')).toMatchObject({ systems: ['/backoffice', '/hubspot', '/shopify', '/slack', '/mail'] });
  expect(await get('/slack')).toEqual({ channels: { C1: [] } });
  expect((await put('/slack', { channels: ['C2'] }, 'Bearer another')).status).toBe(401);
  expect((await put('/backoffice/articles/1', {}, 'Bearer another')).status).toBe(401);
  expect((await put('/slack', { channels: ['C2'] })).status).toBe(204);
  expect(await get('/slack')).toEqual({ channels: { C1: [], C2: [] } });
  expect(await get('/backoffice')).toEqual({});
});

test('content of another form is refused with its field, and a system that does not exist is named', async () => {
  const refused = await put('/slack', { channels: 'C2' });
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('channels')]);
  const missing = await fetch(`${sampleSystemsUrl(systems)}/nothing`);
  expect([missing.status, await missing.json()]).toEqual([404, { message: 'There is no sample system nothing' }]);
});

test('each effect is a line, and what is only read or refused is none', async () => {
  const post = (path: string, body: object, headers: Record<string, string> = { authorization: `Bearer ${token}` }) =>
    fetch(sampleSystemsUrl(systems) + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  await put('/backoffice', { '/articles/KB-7': { title: 'Kettle' } });
  await put('/hubspot', { contacts: { idProperty: 'email', objects: [{ email: 'ada@example.com' }] } });
  expect(
    await (await fetch(`${sampleSystemsUrl(systems)}/backoffice/articles/KB-7`, { headers: { authorization: `Bearer ${token}` } })).json(),
  ).toEqual({
    title: 'Kettle',
  });
  expect(await effects()).toEqual([]);
  await put('/backoffice/proposals/KB-7', { quantity: 40 });
  const upsert = (id: string) => ({ inputs: [{ idProperty: 'email', id, properties: { firstname: 'Ada' } }] });
  await post('/hubspot/crm/objects/2026-03/contacts/batch/upsert', upsert('ada@example.com'));
  await post('/hubspot/crm/objects/2026-03/contacts/batch/upsert', upsert('bob@example.com'));
  const metafields = [{ ownerId: 'gid://shopify/Product/1', namespace: 'reviews', key: 'r1', value: '{}' }];
  const ofShop = { 'x-shopify-access-token': token };
  await post('/shopify/graphql.json', { query: 'mutation { metafieldsSet(', variables: { metafields } }, ofShop);
  await post('/shopify/graphql.json', { query: 'mutation { tagsAdd(', variables: { id: 'gid://shopify/Order/1', tags: ['vip'] } }, ofShop);
  await post('/slack/api/chat.postMessage', { channel: 'C1', text: 'Hello\nthere' });
  await post('/slack/api/chat.postMessage', { channel: 'C9', text: 'nobody' });
  expect(await effects()).toEqual([
    'backoffice /proposals/KB-7 = {"quantity":40}',
    'HubSpot contacts ada@example.com changed: firstname Ada',
    'HubSpot contacts bob@example.com created: firstname Ada',
    'Shopify Product/1 reviews.r1 = {}',
    'Shopify Order/1 tagged vip',
    'Slack C1: Hello there',
  ]);
});

test('the mail server takes mails of the library that our driver is built on, whatever their characters', async () => {
  const mailer = createTransport({ host: '127.0.0.1', port: systems.mailPort, ignoreTLS: true, pool: true });
  onTestFinished(() => mailer.close());
  const text = 'Grüße aus der Nacht\n.\n..and a line that is longer than seventy-six characters, so that it is folded = cut\n\nEnd';
  const mail = {
    from: 'millrace@acme.example',
    to: ['team@acme.example', 'ada@acme.example'],
    subject: 'Tägliche Übersicht: 3 orders',
    text,
  };
  await mailer.sendMail(mail);
  await mailer.sendMail({ ...mail, to: 'ada@acme.example', subject: 'Plain', text: 'Plain' });
  expect(await get('/mail')).toEqual([{ ...mail, to: ['ada@acme.example'], subject: 'Plain', text: 'Plain' }, mail]);
  expect(await effects()).toEqual([
    'mail to team@acme.example, ada@acme.example: Tägliche Übersicht: 3 orders',
    'mail to ada@acme.example: Plain',
  ]);
});

test('a start takes the ports of the last one, and others where they are taken', async () => {
  const { port, mailPort } = systems;
  await systems.stop();
  const holder = createServer().listen(mailPort, '127.0.0.1');
  await once(holder, 'listening');
  onTestFinished(() => void holder.close());
  systems = await startSampleSystems(token, { port, mailPort });
  expect(systems.port).toBe(port);
  expect(systems.mailPort).not.toBe(mailPort);
});
