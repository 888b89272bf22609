import type { TenantDocument } from '#libs/contracts';
import { inTenant } from './connection.js';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

const applyTenant = `mutation Apply($input: ApplyDocumentsInput!) {
  applied: applyDocuments(input: $input) { __typename ${refusals} }
}`;

/** `millrace tenants create`: applies the Tenant document of a new tenant, with an operator's key. */
export async function createTenant(
  connection: Connection,
  { name, displayName }: { name: string; displayName: string | undefined },
  output: Output,
): Promise<void> {
  const at = inTenant(connection, name);
  const document: TenantDocument = {
    apiVersion: 'millrace/v1',
    kind: 'Tenant',
    metadata: { name },
    spec: { displayName: displayName ?? name },
  };
  const input = { documents: [document], expectedVersions: [{ kind: 'Tenant', name, version: 0 }] };
  type Applied = { __typename: 'ApplyDocumentsSuccess' };
  try {
    const { applied } = await ask<{ applied: Applied | Refusal }>(at, applyTenant, { input });
    accepted(at, applied, ({ path, message }) => violationOf(connection, name, path, message));
  } catch (error) {
    throw error instanceof CliFailure && error.code === 'credential.scope' ? new CliFailure(operatorNeeded(connection), error.kind) : error;
  }
  output.result(document, `Tenant/${name} is created.`);
  output.note(
    `Its first key, with the same --url and --key: millrace --tenant ${name} keys create first --scope ingest read operate admin`,
  );
}

function violationOf(connection: Connection, name: string, path: readonly string[], message: string): string {
  if (path[1] === 'expectedVersions') return `There is a tenant ${name} already`;
  if (path.at(-1) === 'kind') return operatorNeeded(connection);
  return path.at(-1) === 'displayName' ? `--display-name ${message}` : `${path.slice(3).join('.')}: ${message}`;
}

function operatorNeeded({ keyFrom }: Connection): string {
  return `Only the operator’s key creates tenants (OPERATOR_KEY of query; give it by --key or MILLRACE_API_KEY): the key from ${keyFrom} is a tenant’s`;
}

interface CurrentTenant {
  name: string;
  version: number;
  createdAt: string;
  createdBy: string;
  content: TenantDocument;
}

/**
 * For where nothing was found: with the operator's key, a tenant that does not exist looks like an empty one.
 * @throws CliFailure if there is no such tenant
 */
export async function requireTenant(connection: Connection): Promise<void> {
  const { tenant, tenantFrom } = connection;
  if (tenant === undefined) return; // a tenant's key is of a tenant that exists
  const { documents } = await ask<{ documents: object[] }>(connection, '{ documents(kind: Tenant) { name } }');
  if (documents.length > 0) return;
  const message = `There is no tenant ${tenant}, which ${tenantFrom} names: name another, or create it with millrace tenants create ${tenant}`;
  throw new CliFailure(message, 'refused', 'tenant.unknown');
}

/** `millrace tenants get`: the tenant that the key acts in or, with an operator's key, another one. */
export async function showTenant(connection: Connection, name: string | undefined, output: Output): Promise<void> {
  const at = name === undefined ? connection : inTenant(connection, name);
  const { documents } = await ask<{ documents: CurrentTenant[] }>(
    at,
    '{ documents(kind: Tenant) { name version createdAt createdBy content } }',
  );
  const [tenant] = documents;
  if (tenant === undefined) throw new CliFailure(`There is no tenant${at.tenant === undefined ? '' : ` ${at.tenant}`}`, 'refused');
  const { displayName } = tenant.content.spec;
  const { content: _, ...version } = tenant;
  output.result(
    { ...version, displayName },
    `${tenant.name}  ${displayName}  version ${tenant.version} of ${tenant.createdAt} by ${tenant.createdBy}`,
  );
}
