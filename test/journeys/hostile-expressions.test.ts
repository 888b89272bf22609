import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { startHttpSink, uniqueName } from '#libs/testing';
import { oneProcess } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { HealthWatch } from '../fuzz/health-watch.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { helpdesk, partnerSecrets } from './partner.js';

/** Expressions over the text `t` with a text of a partner: each takes many seconds, or all memory, within one step. */
const hostile: [expression: string, text: string][] = [
  ['$count($match(t, /a[^b]*b|a/))', 'a'.repeat(8_000)],
  ['$count($match(t, /"[^"]*"|\\S/))', `it's ordinary text with a " in it `.repeat(25_000)],
  ['$count($match(t, /<[^>]*>|./))', '<'.repeat(60_000)],
  ['$replace(t, /<[^>]*>|./, "x")', '<'.repeat(60_000)],
  ['$count($split(t, /,/))', ','.repeat(900_000)],
  ['$reduce([1..30], function($a, $b) { $a & $a }, t)', 'xy'],
  ['($f := function($n) { $f($n + 1) }; $f(1))', 'a loop'],
];

/** Documents with a hostile expression twice: as the customer of a source, and as a step of a flow. */
function hostileDocuments(tenant: string, expression: string): object[] {
  const over = (path: string): string => `($in := { "t": ${path} }; $in.(${expression}))`;
  return [
    {
      apiVersion: 'millrace/v1',
      kind: 'Source',
      metadata: { tenant, name: 'hostile' },
      spec: {
        scheme: 'standard-webhooks',
        secrets: [{ value: partnerSecrets.helpdesk }],
        customer: `$string(${over('body.data.message')})`,
      },
    },
    {
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant, name: 'hostile' },
      spec: { on: { sources: ['hostile'] }, steps: [{ id: 'count', map: { expression: over('event.data.data.message') } }] },
    },
  ];
}

let form: Form;
let sink: Awaited<ReturnType<typeof startHttpSink>>;
beforeAll(async () => {
  sink = await startHttpSink();
  form = await oneProcess({ logPrefix: `${uniqueName('hostile')}.`, recoversQuickly: true });
  await form.start();
});
afterAll(async () => {
  await form?.dispose();
  await sink?.stop();
});

async function tenantWith(documents: (tenant: string) => object[]): Promise<Client> {
  const client = new Client(form, uniqueName('tenant'), form.operatorKey);
  await client.apply([...tenantDocuments(client.tenant, sink.url), ...documents(client.tenant)]);
  return client;
}

const send = async (attacked: readonly Client[], round: number): Promise<string[]> =>
  Promise.all(attacked.map((client, at) => client.accepted({ ...helpdesk(`round-${round}`, 'none', hostile[at]![1]), source: 'hostile' })));

test('hostile expressions fail their own events, at the door and in flows; others go on, and so does a restart', async () => {
  onTestFailed(() => console.log(form.tail()));
  // A tenant each: one with all of them rests between them, for longer than a test can wait on a busy machine.
  const attacked = await Promise.all(hostile.map(async ([expression]) => tenantWith((tenant) => hostileDocuments(tenant, expression))));
  const other = await tenantWith(() => []);
  const watch = new HealthWatch();
  watch.start(`${form.services[0]}/healthz`);

  const first = await send(attacked, 1);
  for (let at = 0; at < 5; at += 1)
    await other.delivered(await other.accepted(helpdesk(`meanwhile-${at}`, `c-${at}`, 'Where is my parcel?')));
  const second = await send(attacked, 2);
  const { longest } = await watch.stop();
  expect(longest).toBeLessThan(2_000); // the shortest of them blocked the process for 9 s

  expect(await form.stop()).toEqual([0]);
  await form.start();
  await other.delivered(await other.accepted(helpdesk('after', 'c-1', 'It came, thank you')));
  for (const [at, client] of attacked.entries())
    for (const eventId of [first[at]!, second[at]!]) {
      const story = await client.storyWhen(
        eventId,
        `the failure of ${hostile[at]![0]}`,
        ({ deadLetters }) => deadLetters.length > 0,
        90_000,
      );
      expect(story.deadLetters.map(({ code }) => code)).toEqual(['flow.expressionFailed']);
      expect(story.customer.key).toBe('-/hostile');
    }
}, 300_000);
