import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { startHttpSink, uniqueName, waitFor } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { oneProcess } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { helpdesk } from './partner.js';

/** A wrong `MODEL_BASE_URL` is a state of the provider: nothing is parked for it, and what waits goes on when the address is right. */

let provider: HttpSink;
let sink: HttpSink;
let form: Form;
beforeAll(async () => {
  [provider, sink] = await Promise.all([startHttpSink(), startHttpSink()]);
  provider.respondWith(() => ({ status: 404, body: '404 page not found' }));
  form = await oneProcess({ logPrefix: '', logLevel: 'warn', settings: { MODEL_BASE_URL: `${provider.url}/wrong` } });
  form.launch();
});
afterAll(async () => {
  await form?.dispose();
  await Promise.all([provider?.stop(), sink?.stop()]);
});

const reasonOfModel = async (): Promise<string> =>
  ((await (await fetch(`${form.doors}/readyz`)).json()) as { parts: Record<string, string> }).parts['model']!;

test('events wait for a model at a wrong address, readiness and the log name it, and they are decided once it is right', async () => {
  onTestFailed(() => console.log(form.tail()));
  const address = `There is no model API at POST ${provider.url}/wrong/chat/completions`;
  await waitFor(async () => (await reasonOfModel()).includes(address), { deadlineMs: 60_000, what: 'the reason in /readyz' });
  expect(form.tail()).toContain('MODEL_BASE_URL');

  const operatorKey = await waitFor(() => form.operatorKey, { deadlineMs: 60_000, what: 'the start to be over' });
  const client = new Client(form, uniqueName('tenant'), operatorKey);
  await client.graphql('mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }', {
    documents: tenantDocuments(client.tenant, sink.url),
  });
  const sent = await waitFor(
    async () => {
      const { status, body } = await client.send(helpdesk('waits', 'c-1', 'Where is my parcel?'));
      return status === 200 && (body['eventIds'] as string[])[0]!;
    },
    { deadlineMs: 30_000, what: 'the source to be in effect' },
  );
  const waiting = await client.storyWhen(sent, 'a call of the model', ({ runs }) => (runs[0]?.modelAttempts.length ?? 0) > 0);
  expect(waiting.runs[0]!.modelAttempts[0]).toMatchObject({ errorCode: 'model.misconfigured' });

  const output = { topic: 'delivery', urgency: 0.2, summary: 'A parcel is late.' };
  const message = { role: 'assistant', content: JSON.stringify(output) };
  provider.respondWith(() => ({ status: 200, body: JSON.stringify({ model: 'm', choices: [{ finish_reason: 'stop', message }] }) }));
  const story = await client.delivered(sent, 60_000);
  expect(story.deadLetters).toEqual([]);
  expect(story.runs[0]!.decision).toEqual({ topic: 'delivery', urgent: false });
  expect(await reasonOfModel()).toBe('ok');
}, 180_000);
