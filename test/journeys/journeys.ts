import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { WebSocket } from 'ws';
import { effectKey } from '#libs/contracts';
import { LosslessNumber, maxJsonDepth } from '#libs/json';
import { sameOnEveryLog, serverSentEvents, startHttpSink, startTraceReceiver, uniqueName, waitFor } from '#libs/testing';
import type { ServerSentEvent } from '#libs/testing';
import { Client, setFaults } from './client.js';
import { tenantDocuments, verifyDelivery } from './documents.js';
import type { Form } from '../forms/forms.js';
import { flipped, github, partnerSecrets, helpdesk, shopify, slack, stripe } from './partner.js';
import type { SignedRequest } from './partner.js';

const run = promisify(execFile);

/** More than the default. */
const bodyLimitBytes = 4 * 1_048_576;
/** Settings of the processes that go through the journeys. */
export const journeySettings = { BODY_LIMIT_BYTES: String(bodyLimitBytes) };

/** Registers the journeys of events through a form of Millrace, as partners, destinations and operators see them. */
export function journeys(makeForm: (otlpUrl: string) => Promise<Form>): void {
  let form: Form;
  let traces: Awaited<ReturnType<typeof startTraceReceiver>>;
  let sink: Awaited<ReturnType<typeof startHttpSink>>;
  let client: Client;

  beforeAll(async () => {
    traces = await startTraceReceiver();
    form = await makeForm(traces.url);
    await form.start();
  });

  afterAll(async () => {
    await form?.dispose();
    await traces?.stop();
  });

  /** Every journey has a tenant, partners and a destination of its own, put there as an integrator would: with `millrace apply`. */
  beforeEach(async () => {
    sink = await startHttpSink();
    const tenant = uniqueName('tenant');
    await apply(form, tenant, sink.url);
    client = new Client(form, tenant, form.operatorKey);
    await client.inEffect();
    onTestFailed(() => console.log(form.tail()));
  });

  afterEach(async () => {
    await fetch(`${form.model}/faults`, { method: 'DELETE' }).catch(() => undefined);
    await sink?.stop();
  });

  async function applyOne(document: object): Promise<void> {
    const { applied } = await client.graphql<{ applied: object }>(
      'mutation ($documents: [JSON!]!) { applied: applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } } }',
      { documents: [document] },
    );
    expect(applied).toEqual({ __typename: 'ApplyDocumentsSuccess' });
  }

  /** An event on which a flow asks a person, after others perhaps, which came before every process knew the flow. */
  async function asksPerson(id: string): Promise<{ eventId: string; reviewId: string; sent: string[] }> {
    const review = { proposal: '{ "text": event.data.data.message }', expiresAfter: 'PT1H' };
    const steps = [
      { id: 'approval', review },
      { id: 'tell', deliver: { destination: 'crm' } },
    ];
    const decision = '{ "outcome": steps.approval.outcome, "value": steps.approval.value }';
    const spec = { on: { when: '$contains(event.data.data.message, "approve")' }, steps, decision };
    await applyOne({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: client.tenant, name: 'approve' }, spec });
    const sent: string[] = [];
    let found: { id: string; event: { id: string } } | undefined;
    await waitFor(
      async () => {
        sent.push(await client.accepted(helpdesk(`${id}_${sent.length}`, 'cust-11', 'Please approve')));
        const query = '{ reviews { nodes { id event { id } } } }';
        [found] = (await client.graphql<{ reviews: { nodes: (typeof found)[] } }>(query)).reviews.nodes;
        return found !== undefined;
      },
      { what: 'a person to be asked' },
    );
    return { eventId: found!.event.id, reviewId: found!.id, sent };
  }

  async function decide(name: 'approveReview' | 'correctReview', input: { id: string; value?: unknown }): Promise<string> {
    const type = name === 'approveReview' ? 'ApproveReviewInput' : 'CorrectReviewInput';
    const mutation = `mutation ($input: ${type}!) { decided: ${name}(input: $input) { __typename } }`;
    const { decided } = await client.graphql<{ decided: { __typename: string } }>(mutation, {
      input: { ...input, idempotencyKey: uniqueName('decision') },
    });
    return decided.__typename;
  }

  /** The requests the destination got about one event. */
  const receivedFor = (eventId: string) => sink.requests.filter((request) => request.body.toString('utf8').includes(eventId));

  test('a signed webhook becomes a delivered, signed decision, and GraphQL tells the whole story', async () => {
    const eventId = await client.accepted(helpdesk('msg_1', 'cust-1', 'I was charged twice and I want my money back!'));
    const story = await client.delivered(eventId);

    expect(story.customer.key).toBe('cust-1');
    expect(story.runs).toHaveLength(1);
    expect(story.runs[0]).toMatchObject({ generation: 0, state: 'COMPLETED', decision: { topic: 'billing' } });
    expect(story.deliveries).toHaveLength(1);
    expect(story.deliveries[0]).toMatchObject({ state: 'DELIVERED', attempts: [{ number: 1, outcome: 'SUCCEEDED' }] });
    expect(story.timeline.map((entry) => entry.at)).toEqual(story.timeline.map((entry) => entry.at).toSorted());
    expect(story.timeline.length).toBeGreaterThanOrEqual(6);

    const [request] = receivedFor(eventId);
    expect(request?.headers).toMatchObject({
      'webhook-id': effectKey(story.deliveries[0]!.id),
      'idempotency-key': effectKey(story.deliveries[0]!.id),
    });
    expect(JSON.parse(request!.body.toString('utf8'))).toMatchObject({ decision: story.runs[0]!.decision });
    verifyDelivery(request!);
  });

  sameOnEveryLog(() => {
    test('one trace leads from the partner’s request through the log and the model to the destination', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const request = helpdesk('msg_trace', 'cust-1', 'Where is my parcel?');
      request.headers['traceparent'] = `00-${traceId}-00f067aa0ba902b7-01`;
      const eventId = await client.accepted(request);
      expect((await client.delivered(eventId)).traceId).toBe(traceId);
      expect(receivedFor(eventId)[0]?.headers['traceparent']).toContain(traceId);

      const names = () =>
        traces
          .spans()
          .filter((span) => span.traceId === traceId)
          .map((span) => span.name);
      await waitFor(() => ['webhooks', 'process ', 'chat', 'deliver'].every((part) => names().some((name) => name.includes(part))), {
        deadlineMs: 15_000,
        what: 'spans of the door, the log, the model and the delivery in one trace',
      });
    });

    test('a webhook that comes a hundred times at once is one event, one decision and one delivery', async () => {
      const request = stripe('evt_1', { customer: 'cus_9', description: 'Card declined for the monthly plan' });
      const ids = await Promise.all(Array.from({ length: 100 }, () => client.accepted(request)));
      expect(new Set(ids).size).toBe(1);

      const after = await client.accepted(helpdesk('msg_after', 'cus_9', 'Hello'));
      await client.delivered(after);
      const story = await client.delivered(ids[0]!);
      expect(await client.eventIds()).toHaveLength(2);
      expect(story.runs).toHaveLength(1);
      expect(story.runs[0]!.modelAttempts).toHaveLength(1);
      expect(story.deliveries).toHaveLength(1);
      expect(receivedFor(ids[0]!)).toHaveLength(1);
    });

    const samples: { provider: string; make: () => SignedRequest | Promise<SignedRequest> }[] = [
      { provider: 'Stripe', make: () => stripe('evt_2', { customer: 'cus_1' }) },
      {
        provider: 'GitHub',
        make: () => github('delivery-1', { action: 'opened', repository: { owner: { login: 'acme' } }, issue: { title: 'Crash' } }),
      },
      { provider: 'Shopify', make: () => shopify('hook-1', { id: 1, customer: { id: 7 }, note: 'arrived broken' }) },
      { provider: 'Slack', make: () => slack('Ev1', { type: 'message', text: 'the shop is down' }) },
      { provider: 'Standard Webhooks', make: () => helpdesk('msg_2', 'cust-2', 'Thanks!') },
      { provider: 'Svix', make: () => helpdesk('msg_3', 'cust-2', 'Thanks again!', 'svix') },
    ];

    test.each(samples)(
      'what the SDK of $provider signs is accepted, and with one byte flipped it is refused and leaves nothing',
      async ({ make }) => {
        const request = await make();
        const refused = await client.send(flipped(request));
        expect(refused.status).toBe(401);
        expect(refused.headers.get('content-type')).toContain('application/problem+json');
        expect(refused.body).toMatchObject({ status: 401, code: 'signature.mismatch' });

        const eventId = await client.accepted(request);
        await client.delivered(eventId);
        expect(await client.eventIds()).toEqual([eventId]);
      },
    );

    test('a webhook that was refused for a wrong secret is found, verified after the secret is mended, and taken as the event that it is', async () => {
      const mended = (secret: string) => ({
        apiVersion: 'millrace/v1',
        kind: 'Source',
        metadata: { tenant: client.tenant, name: 'late' },
        spec: { scheme: 'standard-webhooks', secrets: [{ value: secret }], customer: 'body.data.customer' },
      });
      await applyOne(mended(`whsec_${Buffer.alloc(24, 'x').toString('base64')}`));
      const request = { ...helpdesk('msg_late', 'cust-late', 'Where is my parcel?'), source: 'late' };
      request.headers['authorization'] = 'Bearer a-credential-of-the-partner';
      await waitFor(async () => (await client.send(request)).status === 401, { what: 'the source to be known' });

      type Kept = { id: string; code: string; message: string; body: string; headers: { name: string; value: string }[] };
      const list = '{ requests(filter: { source: "late" }) { nodes { id code message body headers { name value } } } }';
      const kept = await waitFor(async () => (await client.graphql<{ requests: { nodes: Kept[] } }>(list)).requests.nodes[0], {
        what: 'the refused request to be stored',
      });
      expect(kept).toMatchObject({ code: 'signature.mismatch', body: request.body });
      expect(JSON.stringify(kept)).not.toContain('a-credential-of-the-partner');

      await applyOne(mended(partnerSecrets.helpdesk));
      const command = (name: string, fields: string, more = '') =>
        client.graphql<Record<string, { eventIds: string[] }>>(
          `mutation { done: ${name}(input: { id: "${kept.id}"${more} }) { ... on ${name[0]!.toUpperCase()}${name.slice(1)}Success { ${fields} } } }`,
        );
      expect(await command('verifyRequest', 'verdict')).toEqual({ done: { verdict: 'ACCEPTED' } });
      const { eventIds } = (await command('takeRequest', 'eventIds'))['done']!;
      const story = await client.delivered(eventIds[0]!);
      expect(story).toMatchObject({ customer: { key: 'cust-late' } });
      expect(await client.accepted(request)).toBe(eventIds[0]);
      expect(receivedFor(eventIds[0]!)).toHaveLength(1);

      const testEvent = (await command('sendTestEvents', 'eventIds', ', idempotencyKey: "once"'))['done']!.eventIds[0]!;
      await client.delivered(testEvent);
      const marks = `{ test: event(id: "${testEvent}") { isTest } taken: event(id: "${eventIds[0]}") { isTest requests { id } } }`;
      expect(await client.graphql(marks)).toEqual({ test: { isTest: true }, taken: { isTest: false, requests: [{ id: kept.id }] } });
    });

    test('numbers keep the partner’s digits, from its request to customers, destinations and GraphQL', async () => {
      const mirror = {
        apiVersion: 'millrace/v1',
        kind: 'Flow',
        metadata: { tenant: client.tenant, name: 'mirror' },
        spec: {
          on: { sources: ['shopify'] },
          steps: [
            { id: 'whole', map: { expression: 'event.data' } },
            { id: 'tell', deliver: { destination: 'crm', payload: '{ "number": event.data.id, "whole": steps.whole }' } },
          ],
        },
      };
      await client.apply([mirror]);
      const order = (id: string, customer: string) => {
        const number = (digits: string) => new LosslessNumber(digits);
        return shopify(id, { id: number(id), customer: { id: number(customer) }, total: number('10.00'), rate: number('1e400') });
      };
      const first = await client.accepted(order('9007199254740993', '813683310949021977'));
      const second = await client.accepted(order('9007199254740992', '813683310949021978'));
      expect(second).not.toBe(first);
      expect([await client.delivered(first), await client.delivered(second)].map(({ customer }) => customer.key)).toEqual([
        '813683310949021977',
        '813683310949021978',
      ]);

      const whole = '{"id":9007199254740993,"customer":{"id":813683310949021977},"total":10.00,"rate":1e400}';
      const payload = `{"number":9007199254740993,"whole":${whole}}`;
      await waitFor(() => sink.requests.some(({ body }) => body.toString('utf8') === payload), { what: 'the delivery of the mirror' });
      const query = `{ event(id: "${first}") { data runs { decision steps { output } } deliveries { payload } } }`;
      const answer = await fetch(form.graphql, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${form.operatorKey}`, 'millrace-tenant': client.tenant },
        body: JSON.stringify({ query }),
      });
      const text = await answer.text();
      for (const field of ['data', 'decision', 'output']) expect(text).toContain(`"${field}":${whole}`);
      expect(text).toContain(`"payload":${payload}`);
    });

    test('the deepest body that is accepted is decided, delivered and shown, and a deeper one is refused with the limit', async () => {
      const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
      const eventId = await client.accepted(shopify('deep-1', { id: 'deep-1', customer: { id: 7 }, list: nested(maxJsonDepth - 1) }));
      await client.delivered(eventId);
      const { event } = await client.graphql<{ event: { data: { list: unknown } } }>(`{ event(id: "${eventId}") { data } }`);
      expect(event.data.list).toEqual(nested(maxJsonDepth - 1));

      const refused = await client.send(shopify('deep-2', { id: 'deep-2', list: nested(maxJsonDepth) }));
      expect(refused).toMatchObject({ status: 400, body: { code: 'request.malformed', detail: 'body: is nested deeper than 128 levels' } });
    });

    test('a body up to the limit of the setting is decided, delivered and shown as a whole, and a larger one is refused', async () => {
      const note = 'It broke again. '.repeat(190_000);
      const eventId = await client.accepted(shopify('large-1', { id: 'large-1', customer: { id: 7 }, note }));
      await client.delivered(eventId, 60_000);
      const { event } = await client.graphql<{ event: { data: { note: string } } }>(`{ event(id: "${eventId}") { data } }`);
      expect(event.data.note === note).toBe(true);

      const refused = await client.send(shopify('large-2', { id: 'large-2', note: 'x'.repeat(bodyLimitBytes) }));
      expect(refused).toMatchObject({ status: 413, body: { code: 'request.tooLarge' } });
    });

    test('while the model fails the event is visible, and when the model recovers it is decided and delivered once', async () => {
      const message = uniqueName('the model is down for');
      await setFaults(form, [{ match: { contains: message }, times: null, fault: 'status', status: 500 }]);
      const eventId = await client.accepted(helpdesk('msg_4', 'cust-3', message));
      const other = await client.accepted(helpdesk('msg_5', 'cust-4', 'Everything is fine here'));

      const during = await client.storyWhen(
        eventId,
        'failed model attempts to be visible',
        (story) => (story.runs[0]?.modelAttempts.length ?? 0) > 0,
      );
      expect(during).toMatchObject({ state: 'RUNNING', deliveries: [] });
      await client.delivered(other); // the failing customer holds up only itself

      await fetch(`${form.model}/faults`, { method: 'DELETE' });
      const story = await client.delivered(eventId);
      expect(story.runs[0]!.modelAttempts.at(-1)).toMatchObject({ outcome: 'succeeded', errorCode: null });
      expect(receivedFor(eventId)).toHaveLength(1);
    });

    test('a flow with a misspelt model is warned of when it is applied, with the name that the provider lists', async () => {
      const listed = async (): Promise<(string[] | null)[]> => {
        const { modelProviders } = await client.graphql<{ modelProviders: { models: string[] | null }[] }>('{ modelProviders { models } }');
        return modelProviders.map(({ models }) => models);
      };
      await waitFor(async () => (await listed()).some((models) => models !== null), { what: 'the model provider to list its models' });
      expect(await listed()).toEqual([['local/rules-1']]);

      const spec = { steps: [{ id: 'assess', infer: { model: 'local/rules', instructions: 'Judge.', output: { type: 'object' } } }] };
      const flow = { apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: client.tenant, name: 'triage' }, spec };
      const { applyDocuments } = await client.graphql<{ applyDocuments: { warnings: { path: string[]; message: string }[] } }>(
        'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { ... on ApplyDocumentsSuccess { warnings { path message } } } }',
        { documents: [flow] },
      );
      expect(applyDocuments.warnings).toEqual([
        {
          path: ['documents', '0', 'spec', 'steps', '0', 'infer', 'model'],
          message: expect.stringContaining('local/rules; did you mean local/rules-1?') as string,
        },
      ]);
    });

    test('a destination that is down gets the delivery when it comes back, under the same id', async () => {
      sink.respondWith(() => ({ status: 503 }));
      const eventId = await client.accepted(helpdesk('msg_6', 'cust-5', 'Hello'));
      await waitFor(() => receivedFor(eventId).length >= 2, { deadlineMs: 20_000, what: 'two refused attempts' });
      sink.respondWith(() => ({ status: 204 }));
      const story = await client.delivered(eventId);
      expect(story.deliveries[0]!.attempts.at(0)).toMatchObject({ outcome: 'UNCERTAIN', status: 503 });
      expect(story.deliveries[0]!.attempts.at(-1)).toMatchObject({ outcome: 'SUCCEEDED', status: 204 });
      expect(new Set(receivedFor(eventId).map((request) => request.headers['webhook-id'])).size).toBe(1);
    });

    test('a delivery that is refused for good is parked with its reason, and an operator’s redeliver sends it again', async () => {
      sink.respondWith(() => ({ status: 422, body: 'unknown field' }));
      const eventId = await client.accepted(helpdesk('msg_7', 'cust-6', 'Hello'));
      const parked = await client.storyWhen(
        eventId,
        'the delivery to be parked',
        (story) => story.state === 'PARKED' && story.deadLetters.length === 1,
      );
      expect(parked.deadLetters[0]).toMatchObject({ code: 'delivery.refused', resolvedAt: null });

      sink.respondWith(() => ({ status: 200 }));
      const { redeliver } = await client.graphql<{ redeliver: { __typename: string } }>(
        `mutation ($input: RedeliverInput!) { redeliver(input: $input) { __typename } }`,
        { input: { deliveryId: parked.deliveries[0]!.id, idempotencyKey: 'again' } },
      );
      expect(redeliver.__typename).toBe('RedeliverSuccess');
      const story = await client.storyWhen(eventId, 'the dead letter to be resolved', (now) => now.deadLetters[0]?.resolvedAt !== null);
      expect(story.deliveries).toHaveLength(1);
      expect(story.deliveries[0]).toMatchObject({ id: parked.deliveries[0]!.id, state: 'DELIVERED' });
    });

    test('a replay decides again as a new generation and delivers under a new id', async () => {
      const eventId = await client.accepted(helpdesk('msg_8', 'cust-7', 'Hello'));
      const first = await client.delivered(eventId);
      const input = { ids: [eventId], idempotencyKey: 'replay-1' };
      const replay = () =>
        client.graphql<{ replayEvents: { __typename: string } }>(
          `mutation ($input: ReplayEventsInput!) { replayEvents(input: $input) { __typename } }`,
          { input },
        );
      expect((await replay()).replayEvents.__typename).toBe('ReplayEventsSuccess');
      await replay(); // the same key is the same replay
      const story = await client.storyWhen(
        eventId,
        'both generations to be delivered',
        (now) => now.deliveries.filter((one) => one.state === 'DELIVERED').length === 2,
      );
      expect(story.runs.map((one) => one.generation).toSorted((a, b) => a - b)).toEqual([0, 1]);
      expect(story.runs.find((one) => one.generation === 0)!.decision).toEqual(first.runs[0]!.decision);
      expect(new Set(story.deliveries.map((one) => one.id)).size).toBe(2);
    });

    describe('when the model refuses an event for good, its customer’s later events wait and nobody else’s do,', () => {
      let refused: string;
      let behind: string[];
      let letter: string;

      beforeEach(async () => {
        const message = uniqueName('no model answers');
        await setFaults(form, [{ match: { contains: message }, times: null, fault: 'status', status: 400 }]);
        refused = await client.accepted(helpdesk('msg_held_0', 'cust-held', message));
        const story = await client.storyWhen(refused, 'its dead letter', ({ deadLetters }) => deadLetters.length === 1);
        letter = story.deadLetters[0]!.id;

        behind = [];
        for (const n of [1, 2, 3]) behind.push(await client.accepted(helpdesk(`msg_held_${n}`, 'cust-held', `Message ${n}`)));
        await client.delivered(await client.accepted(helpdesk('msg_free', 'cust-free', 'Hello')));
        await waitFor(async () => (await client.holdsOf('cust-held'))[0]?.heldRecords === 4, {
          deadlineMs: 15_000,
          what: 'four held records',
        });
      });

      /** The events in the order in which the destination got their decisions. */
      const arrived = () =>
        sink.requests.flatMap(({ body }) => [refused, ...behind].filter((eventId) => body.toString('utf8').includes(eventId)));

      const settle = async (mutation: 'retryDeadLetter' | 'skipDeadLetter') => {
        const document = `mutation ($input: SettleDeadLetterInput!) { settled: ${mutation}(input: $input) { __typename } }`;
        const input = { id: letter, idempotencyKey: 'settle' };
        return (await client.graphql<{ settled: { __typename: string } }>(document, { input })).settled.__typename;
      };

      const released = () =>
        waitFor(async () => (await client.holdsOf('cust-held')).length === 0, { deadlineMs: 15_000, what: 'the end of the hold' });

      test('and GraphQL says what they wait for', async () => {
        expect((await client.story(refused))!.deadLetters).toMatchObject([
          { id: letter, kind: 'RUN', code: 'model.refused', resolution: null },
        ]);
        const hold = { group: 'flows', reason: 'POISON', heldRecords: 4, deadLetter: { id: letter } };
        expect(await client.holdsOf('cust-held')).toEqual([hold]);
        expect(await client.holdsOf('cust-free')).toEqual([]);
        for (const id of behind) expect(await client.story(id)).toMatchObject({ state: 'RECORDED', runs: [], hold });
        expect(await client.story(refused)).toMatchObject({ state: 'PARKED', hold: null });
      });

      test('until a replay completes it, and then they are delivered after it, in order', async () => {
        await fetch(`${form.model}/faults`, { method: 'DELETE' });
        expect(await settle('retryDeadLetter')).toBe('RetryDeadLetterSuccess');
        for (const id of behind) await client.delivered(id);
        const story = await client.storyWhen(
          refused,
          'its dead letter to be resolved',
          ({ deadLetters }) => deadLetters[0]?.resolvedAt !== null,
        );
        expect(Object.fromEntries(story.runs.map(({ generation, state }) => [generation, state]))).toEqual({
          0: 'FAILED',
          1: 'COMPLETED',
        });
        expect(story.deadLetters).toMatchObject([{ id: letter, resolution: 'REPLAYED' }]);
        await released();
        expect(arrived()).toEqual([refused, ...behind]);
      });

      test('until an operator skips it, and then they are delivered in order without it', async () => {
        expect(await settle('skipDeadLetter')).toBe('SkipDeadLetterSuccess');
        for (const id of behind) await client.delivered(id);
        const story = await client.story(refused);
        expect(story).toMatchObject({ state: 'COMPLETED', hold: null, deadLetters: [{ id: letter, resolution: 'SKIPPED' }] });
        expect(story!.timeline.at(-1)).toMatchObject({
          kind: 'SKIPPED',
          title: expect.stringMatching(/^The run was skipped by /) as string,
        });
        await released();
        expect(arrived()).toEqual(behind);
      });
    });

    test('a run waits for a person while later events of its customer go on, and then delivers what the person chose', async () => {
      const { eventId, reviewId } = await asksPerson('msg_ask');
      await client.delivered(await client.accepted(helpdesk('msg_after_ask', 'cust-11', 'Hello')));
      expect((await client.story(eventId))!.runs.find(({ state }) => state === 'WAITING')).toBeDefined();
      expect(await decide('correctReview', { id: reviewId, value: { text: 'something else' } })).toBe('CorrectReviewSuccess');
      expect(await decide('approveReview', { id: reviewId })).toBe('ValidationError');
      const { runs, deliveries } = await client.delivered(eventId);
      expect(runs.map(({ decision }) => decision)).toContainEqual({ outcome: 'corrected', value: { text: 'something else' } });
      expect(deliveries).toHaveLength(2);
    });

    test('a caller follows the draft of a decision; what a gate refused is no part of it, and the last event is what GraphQL shows', async () => {
      const { createApiKey } = await client.graphql<{ createApiKey: { key: string } }>(
        `mutation { createApiKey(input: { name: "caller", scopes: [INGEST] }) { ... on CreateApiKeySuccess { key } } }`,
      );
      const output = {
        type: 'object',
        additionalProperties: false,
        required: ['topic'],
        properties: { topic: { enum: ['billing', 'other'] } },
      };
      const infer = { model: 'local/rules-1', instructions: 'Say what it is about.', input: 'event.data.message', output };
      const spec = { onRequest: { default: { topic: 'other' }, waitMs: 20_000, draft: 'assess' }, steps: [{ id: 'assess', infer }] };
      await applyOne({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: client.tenant, name: 'ask' }, spec });
      const message = uniqueName('the invoice is wrong');
      await setFaults(form, [{ match: { contains: message }, times: 1, fault: 'schemaBreaking' }]);
      const ask = (): Promise<Response> =>
        fetch(`${form.doors}/v1/decisions/ask`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${createApiKey.key}` },
          body: JSON.stringify({ id: 'ask-1', customer: 'cust-20', message }),
        });
      let answer: Response | undefined;
      await waitFor(async () => (answer = await ask()).status === 200, { deadlineMs: 10_000, what: 'the key and the flow to be known' });
      const events: ServerSentEvent[] = [];
      for await (const event of serverSentEvents(answer!.body!)) events.push(event);
      const restart = events.findLastIndex(({ event }) => event === 'restart');
      const draft = events.slice(restart + 1).flatMap(({ event, data }) => (event === 'draft' ? [(data as { text: string }).text] : []));
      const { eventId, decision } = events.at(-1)!.data as { eventId: string; decision: unknown };
      expect([events[0]!.event, events.at(-1)!.event]).toEqual(['accepted', 'decision']);
      expect(JSON.parse(draft.join(''))).toEqual(decision);
      const story = await client.storyWhen(eventId, 'the decision', ({ runs }) => runs[0]?.state === 'COMPLETED');
      expect(story.runs[0]!.decision).toEqual(decision);
      expect(story.runs[0]!.modelAttempts.map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded']);
    });

    test('CloudEvents come in with an API key, and the key opens only what its scopes say', async () => {
      const { createApiKey } = await client.graphql<{ createApiKey: { key: string } }>(
        `mutation { createApiKey(input: { name: "partner", scopes: [INGEST] }) { ... on CreateApiKeySuccess { key } } }`,
      );
      const headers = { 'content-type': 'application/cloudevents+json', authorization: `Bearer ${createApiKey.key}` };
      const event = {
        specversion: '1.0',
        id: 'order-1',
        source: 'tickets',
        type: 'ticket.opened',
        subject: 'cust-8',
        data: { message: 'Hello' },
      };
      let answer: Response | undefined;
      await waitFor(
        async () => {
          answer = await fetch(`${form.doors}/v1/events`, { method: 'POST', headers, body: JSON.stringify(event) });
          return answer.status !== 401; // a new key reaches the door with the next notice of its configuration
        },
        { deadlineMs: 5_000, what: 'the new key to be known at the door' },
      );
      expect(answer!.status).toBe(202);
      const { eventIds } = (await answer!.json()) as { eventIds: string[] };
      expect((await client.delivered(eventIds[0]!)).customer.key).toBe('cust-8');

      const reader = new Client(form, client.tenant, createApiKey.key);
      await expect(reader.eventIds()).rejects.toThrow('credential.scope');
    });

    test('a subscriber hears of an event from its recording to its delivery', async () => {
      const socket = createClient({
        url: form.graphql.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: { authorization: `Bearer ${form.operatorKey}`, 'millrace-tenant': client.tenant },
        lazy: false,
      });
      const changes: string[] = [];
      const query = 'subscription { eventChanged { change event { id } } }';
      socket.subscribe<{ eventChanged: { change: string } }>(
        { query },
        { next: ({ data }) => void changes.push(data!.eventChanged.change), error: () => undefined, complete: () => undefined },
      );
      try {
        let sent = 0;
        // What happens before the subscription is in place is not heard of, so events are sent until one is heard of as a whole.
        await waitFor(
          async () => {
            await client.delivered(await client.accepted(helpdesk(`msg_sub_${(sent += 1)}`, 'cust-9', 'Hello')));
            return ['RECORDED', 'DECIDED', 'DELIVERED'].every((change) => changes.includes(change));
          },
          { deadlineMs: 30_000, what: 'a recorded, a decided and a delivered event' },
        );
      } finally {
        await socket.dispose();
      }
    });
  });

  // What the broker decides: when a killed member’s partitions go to another one, and from which offset the group goes on.
  test('after every process was killed in the middle, all that was acknowledged is decided and delivered once', async () => {
    sink.respondWith(() => ({ status: 503 }));
    const before = await client.delivered(await deliveredBefore());
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, index) => client.accepted(helpdesk(`msg_kill_${index}`, `cust-${index % 8}`, `Message ${index}`))),
    );
    const { eventId: asking, reviewId, sent } = await asksPerson('msg_kill_ask');
    expect(await decide('approveReview', { id: reviewId })).toBe('ApproveReviewSuccess');
    await form.kill();
    sink.respondWith(() => ({ status: 200 }));
    await form.start();

    // The killed members hold their partitions until their sessions run out, 30 s, and what they had claimed until its lease does, 15 s.
    for (const id of ids) await client.delivered(id, 90_000);
    const reviewed = await client.delivered(asking, 90_000);
    expect(reviewed.runs.map(({ decision }) => decision)).toContainEqual({ outcome: 'approved', value: { text: 'Please approve' } });
    expect(reviewed.deliveries).toHaveLength(2);
    expect(new Set(await client.eventIds())).toEqual(new Set([...ids, before.id, ...sent]));
    for (const id of ids) {
      const story = (await client.story(id))!;
      expect(story.runs).toHaveLength(1);
      expect(story.deliveries).toHaveLength(1);
      expect(new Set(receivedFor(id).map((request) => request.headers['webhook-id'])).size).toBe(1);
    }
    expect((await client.story(before.id))!.runs).toEqual(before.runs);

    async function deliveredBefore(): Promise<string> {
      sink.respondWith(() => ({ status: 200 }));
      const id = await client.accepted(helpdesk('msg_before', 'cust-0', 'Before'));
      await client.delivered(id);
      sink.respondWith(() => ({ status: 503 }));
      return id;
    }
  });

  test('it stops cleanly when asked to, and starts again with everything it had', async () => {
    const eventId = await client.accepted(helpdesk('msg_9', 'cust-10', 'Hello'));
    const before = await client.delivered(eventId);
    expect(await form.stop()).toSatisfy((codes: (number | null)[]) => codes.every((code) => code === 0));
    await form.start();
    expect(await client.story(eventId)).toEqual(before);
  });
}

/** Runs the CLI as a person would, on a file with the journey's documents. */
async function apply(form: Form, tenant: string, destination: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-documents-'));
  const file = join(directory, 'documents.yaml');
  writeFileSync(
    file,
    tenantDocuments(tenant, destination)
      .map((one) => JSON.stringify(one))
      .join('\n---\n'),
  );
  const options = ['--url', form.graphql.replace('/graphql', ''), '--key', form.operatorKey, '--tenant', tenant];
  await run(process.execPath, ['dist/tools/cli/src/main.js', 'apply', '-f', file, ...options]);
  rmSync(directory, { recursive: true });
}
