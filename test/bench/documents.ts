import { randomBytes } from 'node:crypto';
import { SecretBox } from '#libs/auth';
import { document } from '#libs/contracts';
import { Database, DocumentTable } from '#libs/persistence';

/** What the bench's services and its load share. */
export const benchKeys = {
  github: randomBytes(20).toString('hex'),
  destination: `whsec_${randomBytes(24).toString('base64')}`,
  secretsKey: randomBytes(32).toString('base64'),
};

const metadata = (name: string) => ({ tenant: 'bench', name });
const head = { apiVersion: 'millrace/v1' };

const infer = {
  model: 'local/rules-1',
  instructions: 'Say how urgent the issue is.',
  output: {
    type: 'object',
    additionalProperties: false,
    required: ['urgency'],
    properties: { urgency: { type: 'number', minimum: 0, maximum: 1 } },
  },
};

/** One source, one flow that asks the model, one destination; straight into Postgres, because the acks bench runs no GraphQL. */
export async function applyBenchDocuments(databaseUrl: string, destinationUrl: string): Promise<void> {
  const database = await Database.connect({ url: databaseUrl, role: 'millrace_service', applicationName: 'millrace-bench', poolSize: 1 });
  const table = new DocumentTable(new SecretBox(Buffer.from(benchKeys.secretsKey, 'base64')));
  const documents = [
    { ...head, kind: 'Tenant', metadata: { name: 'bench' }, spec: { displayName: 'Bench' } },
    { ...head, kind: 'Source', metadata: metadata('github'), spec: { scheme: 'github', secrets: [{ value: benchKeys.github }] } },
    {
      ...head,
      kind: 'Flow',
      metadata: metadata('assess'),
      spec: {
        steps: [
          { id: 'assess', infer },
          { id: 'tell', deliver: { destination: 'sink' } },
        ],
      },
    },
    {
      ...head,
      kind: 'Destination',
      metadata: metadata('sink'),
      spec: { kind: 'http', url: destinationUrl, secret: { value: benchKeys.destination } },
    },
  ];
  for (const one of documents) await table.save(database, { document: document.parse(one), actor: 'bench' });
  await database.close();
}
