import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { SampleCredentials } from './data-directory.js';
import { sampleSystemsUrl } from './sample-systems/sample-systems.js';
import type { SampleSystemPorts } from './sample-systems/sample-systems.js';

const tenant = 'acme';
const folder = fileURLToPath(new URL('samples', import.meta.url));

/** The address of the sample destination, which the process serves itself. */
export function sampleDestinationUrl(url: string): string {
  return `${url}/sample/crm`;
}

/** The signing secrets of the sample sources and of the sample destination, by name, each in its provider's format. */
export function makeSecrets(): Record<string, string> {
  return {
    stripe: `whsec_${randomBytes(24).toString('hex')}`,
    github: randomBytes(20).toString('hex'),
    shopify: randomBytes(32).toString('hex'),
    slack: randomBytes(16).toString('hex'),
    helpdesk: `whsec_${randomBytes(24).toString('base64')}`,
    crm: `whsec_${randomBytes(24).toString('base64')}`,
    systems: randomBytes(24).toString('base64url'),
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

/** Applies the sample tenant's documents as an operator, over GraphQL, and creates its first API key. */
export async function putSamples(
  url: string,
  operatorKey: string,
  secrets: Record<string, string>,
): Promise<Omit<SampleCredentials, 'systems'>> {
  const documents = sampleDocuments({ ...secrets, url });
  const data = await ask<Result>({ url, operatorKey }, putting, { documents });
  const key = data.createApiKey?.key;
  if (data.applyDocuments.__typename !== 'ApplyDocumentsSuccess' || key === undefined) throw refusal(data);
  return { url, tenant, apiKey: key, operatorKey, secrets };
}

/**
 * Updates the address of the sample destination, which this process serves itself, after a start on another `PORT`. A destination that somebody
 * has pointed elsewhere is left alone.
 */
export async function moveSampleDestination(before: SampleCredentials, url: string): Promise<void> {
  const access = { url, operatorKey: before.operatorKey };
  const { document } = await ask<{ document: { content: { spec: { url: string } } } | null }>(access, finding);
  if (document?.content.spec.url !== sampleDestinationUrl(before.url)) return;
  const moved = { ...document.content, spec: { ...document.content.spec, url: sampleDestinationUrl(url) } };
  const data = await ask<Result>(access, moving, { documents: [moved] });
  if (data.applyDocuments.__typename !== 'ApplyDocumentsSuccess') throw refusal(data);
}

/** Updates the addresses of the sample systems in connections, after a start that found a port taken. Connections to other systems are left alone. */
export async function moveSampleSystems(access: Access, before: SampleSystemPorts, now: SampleSystemPorts): Promise<void> {
  if (before.port === now.port && before.mailPort === now.mailPort) return;
  const [from, to] = [`${sampleSystemsUrl(before)}/`, `${sampleSystemsUrl(now)}/`];
  const { documents } = await ask<{ documents: { content: ConnectionContent }[] }>(access, findingConnections);
  const moved = documents.flatMap(({ content }) => {
    const { base, host, port } = content.spec.settings;
    const isMail = content.spec.connector === 'smtp' && host === '127.0.0.1' && port === before.mailPort;
    if (!isMail && base?.startsWith(from) !== true) return [];
    const address = isMail ? { port: now.mailPort } : { base: to + base!.slice(from.length) };
    return [{ ...content, spec: { ...content.spec, settings: { ...content.spec.settings, ...address } } }];
  });
  if (moved.length === 0) return;
  const data = await ask<Result>(access, moving, { documents: moved });
  if (data.applyDocuments.__typename !== 'ApplyDocumentsSuccess') throw refusal(data);
}

interface ConnectionContent {
  spec: { connector: string; settings: { base?: string; host?: string; port?: number } };
}

const refusal = (reason: unknown): Error => new Error(`The samples were refused: ${JSON.stringify(reason)}`);

/** Asks over GraphQL, as the operator in the sample tenant. */
export async function ask<Data>({ url, operatorKey }: Access, query: string, variables = {}): Promise<Data> {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${operatorKey}`, 'millrace-tenant': tenant },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await answer.json()) as { data?: Data | null; errors?: unknown };
  if (data == null || errors !== undefined) throw refusal(errors);
  return data;
}

interface Access {
  url: string;
  operatorKey: string;
}

interface Result {
  applyDocuments: { __typename: string };
  createApiKey?: { key?: string };
}

const finding = '{ document(kind: Destination, name: "crm") { content } }';
const findingConnections = '{ documents(kind: Connection) { content } }';
const moving = `mutation ($documents: [JSON!]!) {
  applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } }
}`;
const putting = `mutation ($documents: [JSON!]!) {
  applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } }
  createApiKey(input: { name: "the sample tenant's first key", scopes: [INGEST, READ, OPERATE, ADMIN] }) {
    ... on CreateApiKeySuccess { key }
  }
}`;
