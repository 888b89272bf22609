import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { Credentials } from './data-directory.js';

const tenant = 'acme';
const folder = fileURLToPath(new URL('samples', import.meta.url));

/** The signing secrets of the sample sources and of the sample destination, by name, each as its provider would make it. */
export function makeSecrets(): Record<string, string> {
  return {
    stripe: `whsec_${randomBytes(24).toString('hex')}`,
    github: randomBytes(20).toString('hex'),
    shopify: randomBytes(32).toString('hex'),
    slack: randomBytes(16).toString('hex'),
    helpdesk: `whsec_${randomBytes(24).toString('base64')}`,
    crm: `whsec_${randomBytes(24).toString('base64')}`,
  };
}

/** The sample documents, with `${name}` filled in. */
export function sampleDocuments(values: Readonly<Record<string, string>>): unknown[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((file) => {
      const text = readFileSync(`${folder}/${file}`, 'utf8').replaceAll(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
      return parseAllDocuments(text).map((document) => document.toJS() as unknown);
    });
}

/** Puts the sample tenant there as an operator would, over GraphQL, and makes its first API key. */
export async function putSamples(url: string, operatorKey: string, secrets: Record<string, string>): Promise<Credentials> {
  const documents = sampleDocuments({ ...secrets, url });
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${operatorKey}`, 'millrace-tenant': tenant },
    body: JSON.stringify({ query: mutation, variables: { documents } }),
  });
  const { data, errors } = (await answer.json()) as { data?: Result; errors?: unknown };
  const key = data?.createApiKey.key;
  if (data?.applyDocuments.__typename !== 'ApplyDocumentsSuccess' || key === undefined) {
    throw new Error(`The samples were refused: ${JSON.stringify(errors ?? data)}`);
  }
  return { url, tenant, apiKey: key, operatorKey, secrets };
}

interface Result {
  applyDocuments: { __typename: string };
  createApiKey: { key?: string };
}

const mutation = `mutation ($documents: [JSON!]!) {
  applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } }
  createApiKey(input: { name: "the sample tenant's first key", scopes: [INGEST, READ, OPERATE, ADMIN] }) {
    ... on CreateApiKeySuccess { key }
  }
}`;
