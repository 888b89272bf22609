/** @module-tag both-logs kafkajs has waits of its own, and the log judges the timestamps of records. */
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, onTestFailed, test } from 'vitest';
import { freshDatabase, onKafka, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { fourProcesses, oneProcess } from '../forms/forms.js';
import type { Form, FormOptions } from '../forms/forms.js';
import { SteppedClock } from '../forms/stepped-clock.js';
import { Client, setFaults } from './client.js';
import { tenantDocuments } from './documents.js';
import { shopify } from './partner.js';

const ended: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end();
});

/** How far the clock is off from then on. A member without heartbeats is removed meanwhile after the first step, and hears of it after the second. */
const steps: [name: string, offsetMs: number][] = [
  ['back', -2 * 3_600_000],
  ['forward', 2 * 3_600_000],
];
/** Longer than a session of quick recovery, so that a member without heartbeats is removed while the events of one step are waited for. */
const unavailableMs = 7_000;
const retryDelayMs = 1_000;

/** A destination that is unavailable to each delivery for some time, and one that lets its first attempt of each run into the deadline. */
function documentsOf(tenant: string, unavailable: string, silent: string): object[] {
  const destination = (name: string, spec: object): object => ({
    apiVersion: 'millrace/v1',
    kind: 'Destination',
    metadata: { tenant, name },
    spec: {
      kind: 'http',
      secret: { value: `whsec_${randomBytes(24).toString('base64')}` },
      retry: { delaysMs: Array(20).fill(retryDelayMs) },
      ...spec,
    },
  });
  return [
    destination('unavailable', { url: unavailable }),
    destination('silent', { url: silent, timeoutMs: 1_500 }),
    {
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant, name: 'waiting' },
      spec: {
        on: { sources: ['shopify'] },
        steps: [
          { id: 'seen', map: { expression: 'event.data.note' } },
          { id: 'a', deliver: { destination: 'unavailable' } },
          { id: 'b', deliver: { destination: 'silent' } },
        ],
        decision: 'steps.seen',
      },
    },
  ];
}

async function startSink(): Promise<Awaited<ReturnType<typeof startHttpSink>>> {
  const sink = await startHttpSink();
  ended.push(() => sink.stop());
  return sink;
}

/** Assignments that the consumers of a form have received: none is added while every heartbeat arrives in time. */
async function assignments(form: Form): Promise<number> {
  const texts = await Promise.all(form.services.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  const counts = texts.flatMap((text) => [...text.matchAll(/^millrace_rebalances_total\{.*\} (\d+)/gm)].map(([, count]) => Number(count)));
  return counts.reduce((sum, count) => sum + count, 0);
}

describe('a wall clock that steps while events flow', () => {
  test.each([
    { title: 'the one process that is all', formOf: (options: FormOptions) => oneProcess(options) },
    {
      title: 'the services, but not the log and Postgres',
      formOf: async (options: FormOptions) => {
        const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
        return fourProcesses({ ...options, brokers: testBrokers(), databaseUrl, queryDatabaseUrl });
      },
    },
  ])('loses, repeats and delays nothing: $title', { timeout: 240_000 }, async ({ formOf }) => {
    const clock = new SteppedClock();
    ended.push(() => clock.dispose());
    const brokers = onKafka() ? { brokers: testBrokers() } : {};
    const form = await formOf({ logPrefix: `${uniqueName('clock')}.`, recoversQuickly: true, settings: clock.settings, ...brokers });
    ended.push(() => form.dispose());
    onTestFailed(() => console.log(form.tail()));
    await form.start();

    const [crm, unavailable, silent] = [await startSink(), await startSink(), await startSink()];
    const client = new Client(form, uniqueName('tenant'), form.operatorKey);
    await client.apply([...tenantDocuments(client.tenant, crm.url), ...documentsOf(client.tenant, unavailable.url, silent.url)]);
    const idOf = ({ headers }: { headers: Record<string, unknown> }): unknown => headers['webhook-id'];
    const firstAtMs = new Map<unknown, number>();
    unavailable.respondWith((request) => {
      const first = firstAtMs.get(idOf(request)) ?? request.receivedAtMs;
      firstAtMs.set(idOf(request), first);
      return { status: request.receivedAtMs - first < unavailableMs ? 503 : 204 };
    });
    silent.respondWith((request) => {
      const isFirst = silent.requests.filter((other) => idOf(other) === idOf(request)).length === 1;
      return isFirst ? new Promise(() => undefined) : { status: 204 };
    });

    const assigned = await assignments(form);
    expect(assigned).toBeGreaterThan(0);
    const sent: string[] = [];
    for (const [name, offsetMs] of steps) {
      const send = (which: string): Promise<string> =>
        client.accepted(shopify(`${name}-${which}`, { customer: { id: `${name}-${which}` }, note: `${name} limited ${which}` }));
      const limited = { match: { contains: `${name} limited` }, times: 2, fault: 'status', status: 429, retryAfterSeconds: 2 };
      await setFaults(form, [limited]);
      const before = await Promise.all(['1', '2', '3'].map(send));
      await waitFor(() => silent.requests.length > sent.length * 2, { what: 'an attempt to be under way' });
      clock.stepTo(offsetMs);
      const ids = [...before, ...(await Promise.all(['4', '5', '6'].map(send)))];
      const stories = await Promise.all(ids.map((id) => client.delivered(id, 60_000)));
      for (const { deliveries, deadLetters } of stories) {
        expect(deadLetters).toEqual([]);
        expect(deliveries.map(({ state }) => state)).toEqual(['DELIVERED', 'DELIVERED', 'DELIVERED']);
      }
      // Two calls were limited, whichever of the events they were for; each waited for its time instead of being made again at once.
      const calls = stories.flatMap(({ runs }) => runs.flatMap(({ modelAttempts }) => modelAttempts.map(({ outcome }) => outcome)));
      expect(calls.toSorted()).toEqual([...Array(2).fill('failed'), ...Array(6).fill('succeeded')]);
      sent.push(...ids);
    }

    expect(await assignments(form)).toBe(assigned);
    expect((await client.eventIds()).toSorted()).toEqual(sent.toSorted());
    const timesOf = (sink: typeof crm): number[] => [...Map.groupBy(sink.requests, idOf).values()].map(({ length }) => length);
    expect(new Set(timesOf(crm))).toEqual(new Set([1]));
    expect(timesOf(silent)).toEqual(Array(sent.length).fill(2));
    for (const times of timesOf(unavailable)) expect(times).toBeLessThanOrEqual(1 + Math.ceil(unavailableMs / retryDelayMs));
    expect(await form.stop()).toSatisfy((codes: (number | null)[]) => codes.every((code) => code === 0));
  });
});
