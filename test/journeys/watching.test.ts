import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freshDatabase, startHttpSink, startTraceReceiver, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { dashboards, sentQueries } from '../../tools/monitoring/dashboards.js';
import { queriesWithoutSeries, startPrometheus } from '../../tools/monitoring/prometheus-process.js';
import type { PrometheusProcess } from '../../tools/monitoring/prometheus-process.js';
import { findPrometheus, whereToGetIt } from '../../tools/monitoring/prometheus.js';
import { fourProcesses, oneProcess } from '../forms/forms.js';
import type { FourProcesses } from '../forms/forms.js';
import { Client, setFaults } from './client.js';
import { tenantDocuments } from './documents.js';
import { flipped, helpdesk } from './partner.js';

const program = findPrometheus('prometheus');
if (program === undefined) process.stdout.write(`Watching is left out: ${whereToGetIt}\n`);

/** A flow whose first model is at an address that answers nothing, so that its route goes on to the next one, which has a price; and a budget. */
function routedDocuments(tenant: string, model: string): object[] {
  const named = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'millrace/v1',
    kind,
    metadata: { tenant, name },
    spec,
  });
  const output = { type: 'object', additionalProperties: false, required: ['summary'], properties: { summary: { type: 'string' } } };
  return [
    named('ModelProvider', 'away', { baseUrl: 'http://127.0.0.1:9/v1' }),
    named('ModelProvider', 'priced', { baseUrl: `${model}/v1`, models: { 'local/rules-1': { price: { input: 1, output: 1 } } } }),
    named('ModelRoute', 'routed', {
      candidates: [
        { provider: 'away', model: 'm' },
        { provider: 'priced', model: 'local/rules-1' },
      ],
    }),
    named('Budget', 'all', { per: 'month', tokens: 1_000_000 }),
    named('Flow', 'routed', { steps: [{ id: 'assess', infer: { route: 'routed', instructions: 'Sum it up.', output } }] }),
  ];
}

/** A flow whose callers follow what its model writes. */
function draftedDocument(tenant: string): object {
  const output = { type: 'object', additionalProperties: false, required: ['summary'], properties: { summary: { type: 'string' } } };
  const spec = {
    onRequest: { default: null, draft: 'assess' },
    steps: [{ id: 'assess', infer: { model: 'local/rules-1', instructions: 'Sum it up.', output } }],
  };
  return { apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant, name: 'drafted' }, spec };
}

/** Asks for a decision of it, and reads all that it is told. @throws Error if that is no draft and its decision */
async function followDraft(form: FourProcesses, client: Client): Promise<void> {
  const mutation = `mutation { createApiKey(input: { name: "caller", scopes: [INGEST] }) { ... on CreateApiKeySuccess { key } } }`;
  const { createApiKey } = await client.graphql<{ createApiKey: { key: string } }>(mutation);
  const answer = await fetch(`${form.doors}/v1/decisions/drafted`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${createApiKey.key}`,
      'content-type': 'application/json',
      accept: 'text/event-stream',
      prefer: 'wait=20',
    },
    body: JSON.stringify({ customer: 'c-1', message: 'The invoice is wrong' }),
  });
  const told = await answer.text();
  if (!/event: draft[\s\S]*event: decision/.test(told)) throw new Error(`no draft and decision: ${answer.status} ${told}`);
}

describe.skipIf(program === undefined)('a Prometheus that scrapes the running services', () => {
  const ended: (() => Promise<unknown> | void)[] = [];
  let form: FourProcesses;
  let prometheus: PrometheusProcess;
  let client: Client;

  beforeAll(async () => {
    const [sink, traces, { url: databaseUrl, queryUrl: queryDatabaseUrl }] = await Promise.all([
      startHttpSink(),
      startTraceReceiver(),
      freshDatabase(),
    ]);
    ended.push(
      () => sink.stop(),
      () => traces.stop(),
    );
    const logPrefix = `${uniqueName('watched')}.`;
    form = await fourProcesses({ brokers: testBrokers(), logPrefix, databaseUrl, queryDatabaseUrl, otlpUrl: traces.url });
    ended.push(() => form.dispose());
    await form.start();
    const jobs = form.services.map((url, at) => [['ingestion', 'query', 'ai-processing', 'connectors'][at]!, [url]] as const);
    prometheus = await startPrometheus(program!, Object.fromEntries(jobs));
    ended.push(() => prometheus.stop());
    client = new Client(form, uniqueName('watched'), form.operatorKey);
    await client.apply([
      ...tenantDocuments(client.tenant, sink.url),
      ...routedDocuments(client.tenant, form.model),
      draftedDocument(client.tenant),
    ]);
    await followDraft(form, client);
    await client.send(flipped(helpdesk('refused', 'c', 'Hello')));
    await setFaults(form, [{ fault: 'status', status: 500, times: 1 }]);
    await client.delivered(await client.accepted(helpdesk('one', 'c', 'The invoice is wrong')));
    sink.respondWith(() => ({ status: 410 }));
    const parked = await client.accepted(helpdesk('two', 'c', 'And again'));
    await client.storyWhen(parked, 'the delivery to be given up', ({ deliveries }) => deliveries.some(({ state }) => state === 'PARKED'));
  });
  afterAll(async () => {
    for (const end of ended.splice(0).toReversed()) await end();
  });

  test.each(dashboards)('has series for every query of $title', async (dashboard) => {
    expect(await queriesWithoutSeries(prometheus, sentQueries(client.tenant, [dashboard]), 90_000)).toEqual([]);
  });

  test('evaluates every rule', async () => {
    interface Groups {
      readonly groups: readonly {
        readonly rules: readonly { readonly name: string; readonly health: string; readonly lastError?: string }[];
      }[];
    }
    const rules = async () => (await prometheus.api<Groups>('rules')).groups.flatMap((group) => group.rules);
    await waitFor(async () => (await rules()).every(({ health }) => health !== 'unknown'), { what: 'every rule', deadlineMs: 90_000 });
    expect((await rules()).filter(({ health }) => health !== 'ok')).toEqual([]);
  });

  test.each(['millrace_intake_duration_seconds', 'millrace_accepted_to_decided_seconds', 'millrace_accepted_to_delivered_seconds'])(
    'leads from %s to a trace',
    async (histogram) => {
      const span = `start=${encodeURIComponent(new Date(Date.now() - 600_000).toISOString())}&end=${encodeURIComponent(new Date().toISOString())}`;
      const found = await prometheus.api<{ exemplars: { labels: { trace_id: string } }[] }[]>(
        `query_exemplars?query=${histogram}_bucket&${span}`,
      );
      const traceIds = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id));
      const { events } = await client.graphql<{ events: { nodes: { traceId: string }[] } }>('{ events(first: 100) { nodes { traceId } } }');
      expect(traceIds.some((id) => events.nodes.some(({ traceId }) => traceId === id))).toBe(true);
    },
  );

  test('finds no metric that the reference does not name', async () => {
    const page = readFileSync('docs/metrics.md', 'utf8');
    const names = await prometheus.api<readonly string[]>('label/__name__/values');
    const ours = names.filter((name) => name.startsWith('millrace_')).map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    expect(ours.length).toBeGreaterThan(40);
    expect([...new Set(ours)].filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
  });
});

describe.skipIf(program === undefined)('a Prometheus that scrapes npm start', () => {
  test('has series for every query of the dashboards after the demo, but for those that say until when they are empty', async () => {
    const form = await oneProcess({ logPrefix: `${uniqueName('demo')}.` });
    onTestFinished(() => form.dispose());
    await form.start();
    const prometheus = await startPrometheus(program!, { standalone: [form.doors] });
    onTestFinished(() => prometheus.stop());
    const environment = { ...process.env, MILLRACE_DIRECTORY: form.directory };
    const { stdout } = await promisify(execFile)(process.execPath, ['dist/tools/demo/main.js'], { env: environment });
    expect(stdout).toContain('12 of 12');
    const { tenant } = JSON.parse(readFileSync(join(form.directory, 'credentials.json'), 'utf8')) as { tenant: string };
    const expected = sentQueries(tenant).filter(({ emptyUntil }) => emptyUntil === undefined);
    expect(await queriesWithoutSeries(prometheus, expected, 60_000)).toEqual([]);
  });
});
