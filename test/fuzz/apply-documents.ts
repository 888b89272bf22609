import type { Form } from '../forms/forms.js';
import { Client } from '../journeys/client.js';

/** Applies documents of a tenant, and returns the operator's client for it. @throws Error with the problems if they are refused */
export async function applyDocuments(form: Form, tenant: string, documents: readonly object[]): Promise<Client> {
  const client = new Client(form, tenant, form.operatorKey);
  const { applyDocuments: applied } = await client.graphql<{ applyDocuments: { __typename: string } }>(
    'mutation ($input: ApplyDocumentsInput!) { applyDocuments(input: $input) { __typename ... on ValidationError { violations { path message } } } }',
    { input: { documents } },
  );
  if (applied.__typename !== 'ApplyDocumentsSuccess') throw new Error(`the documents were refused: ${JSON.stringify(applied)}`);
  return client;
}
