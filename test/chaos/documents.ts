import { randomBytes } from 'node:crypto';
import { SecretBox } from '#libs/auth';
import { document } from '#libs/contracts';
import { Database, DocumentTable } from '#libs/persistence';

export const chaosTenant = 'chaos';

/** Keys that the services, the partners and the operator of a run share. */
export const chaosKeys = {
  partner: `whsec_${randomBytes(24).toString('base64')}`,
  destination: `whsec_${randomBytes(24).toString('base64')}`,
  secretsKey: randomBytes(32).toString('base64'),
  operator: 'mr_test_operator_0123456789abcdef0123456789abcdef',
};

/** All events go to `ledger`, in strict order. Some also go to `copies`, whose order is best-effort, and those of some customers to `notices`, which takes each request anew. */
export const strictDestination = 'ledger';
export const otherDestination = 'copies';
export const keylessDestination = 'notices';

const head = { apiVersion: 'millrace/v1' };
const metadata = (name: string) => ({ tenant: chaosTenant, name });

const payload = `{ "eventId": event.id, "customer": event.customer, "lane": event.data.data.lane, "sequence": event.data.data.sequence,
  "topic": steps.assess.topic }`;

/** A question to the model about an event. */
export const infer = {
  model: 'local/rules-1',
  instructions: 'Say what the ticket is about.',
  input: 'event.data.data.message',
  output: {
    type: 'object',
    additionalProperties: false,
    required: ['topic'],
    properties: { topic: { type: 'string', enum: ['billing', 'delivery', 'product', 'engineering', 'other'] } },
  },
  timeoutMs: 3_000,
};

/** Half a minute in total, longer than any fault of the sink. */
const delaysMs = [200, 500, ...Array.from({ length: 30 }, () => 1_000)];

const destination = (name: string, url: string, more: object) => ({
  ...head,
  kind: 'Destination',
  metadata: metadata(name),
  spec: {
    kind: 'http',
    url,
    secret: { value: chaosKeys.destination },
    timeoutMs: 2_000,
    retry: { delaysMs },
    limit: { concurrency: 64 },
    ...more,
  },
});

/** One partner with three lanes, one flow that asks a model and delivers, three destinations. */
const documents = (urlOf: (destination: string) => string, keyless: object = { idempotency: { class: 'none' } }): object[] => [
  { ...head, kind: 'Tenant', metadata: { name: chaosTenant }, spec: { displayName: 'Chaos' } },
  {
    ...head,
    kind: 'Source',
    metadata: metadata('partner'),
    spec: {
      scheme: 'standard-webhooks',
      secrets: [{ value: chaosKeys.partner }],
      customer: 'body.data.customer',
      lane: {
        rules: [
          { types: ['ticket.high'], lane: 'high' },
          { types: ['ticket.low'], lane: 'low' },
        ],
      },
    },
  },
  {
    ...head,
    kind: 'Flow',
    metadata: metadata('triage'),
    spec: {
      on: { sources: ['partner'] },
      steps: [
        { id: 'assess', infer },
        { id: 'check', validate: { input: 'steps.assess', rules: [{ check: '$exists(value.topic)', message: 'a ticket has a topic' }] } },
        { id: 'tell', deliver: { destination: strictDestination, payload } },
        { id: 'copy', when: 'event.data.data.copy', deliver: { destination: otherDestination, payload } },
        { id: 'note', when: 'event.data.data.notice', deliver: { destination: keylessDestination, payload } },
      ],
      decision: 'steps.assess',
    },
  },
  destination(strictDestination, urlOf(strictDestination), { order: 'strict' }),
  destination(otherDestination, urlOf(otherDestination), { order: 'best-effort' }),
  destination(keylessDestination, urlOf(keylessDestination), keyless),
];

/**
 * Applies them through the API, so that the release that runs seals their secrets: the release before, which knows no idempotency class, so `notices` is a
 * destination like any other.
 */
export async function applyThrough(graphql: string, urlOf: (destination: string) => string): Promise<void> {
  const query = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }';
  const answer = await fetch(graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${chaosKeys.operator}`, 'millrace-tenant': chaosTenant },
    body: JSON.stringify({ query, variables: { documents: documents(urlOf, {}) } }),
  });
  const { data } = (await answer.json()) as { data?: { applyDocuments: { __typename: string } } };
  if (data?.applyDocuments.__typename !== 'ApplyDocumentsSuccess')
    throw new Error(`The documents were not applied: ${JSON.stringify(data)}`);
}

/** Writes to Postgres directly, so that the documents are in effect when the run begins. */
export async function applyChaosDocuments(
  databaseUrl: string,
  urlOf: (destination: string) => string,
  more: readonly object[],
): Promise<void> {
  await applyToPostgres(databaseUrl, [...documents(urlOf), ...more]);
}

export async function applyToPostgres(databaseUrl: string, applied: readonly object[]): Promise<void> {
  const database = await Database.connect({ url: databaseUrl, role: 'millrace_service', applicationName: 'millrace-chaos', poolSize: 1 });
  const table = new DocumentTable(new SecretBox(Buffer.from(chaosKeys.secretsKey, 'base64')));
  for (const one of applied) await table.save(database, { document: document.parse(one), actor: 'chaos' });
  await database.close();
}
