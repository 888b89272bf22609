import { parse } from 'yaml';
import { connectorManifest, wordsForIssue } from '#libs/contracts';
import type { ConnectorDocument, ConnectorSpec, OpenApiSource } from '#libs/contracts';
import { manifestOperation, operationNameOf } from './openapi.operation.js';
import type { OperationOf } from './openapi.operation.js';
import { DescriptionRefused, OperationLeftOut, listed, mostOperations, withSetting } from '../description.js';
import { asObject, resolved } from './openapi.document.js';
import type { OpenApi } from './openapi.document.js';
import { authOf } from './openapi.security.js';

type GivenSpec = ConnectorDocument['spec'];
type OperationSpec = ConnectorSpec['operations'][string];

const methods = ['get', 'head', 'post', 'put', 'patch', 'delete'] as const;

/** The connector of an OpenAPI document. @throws DescriptionRefused */
export function specOfOpenApi(given: GivenSpec, source: OpenApiSource): ConnectorSpec {
  const document = documentOf(source);
  const { operations, leftOut } = operationsOf(document, source, given.operations ?? {});
  const { openapi: _, wsdl: __, ...own } = given;
  const servers = serversOf(document);
  const needsBase = given.base === undefined;
  const base = {
    type: 'string',
    description: 'The address that paths are appended to.',
    ...(servers[0] === undefined ? {} : { default: servers[0] }),
  };
  const spec = {
    ...own,
    base: given.base ?? '{settings.base}',
    hosts: given.hosts ?? hostsOf(servers),
    settings: needsBase ? withSetting(given.settings, 'base', base) : given.settings,
    auth: given.auth ?? authOf(document),
    limits: [...given.limits, ...leftOut].slice(0, 20),
    operations: { ...operations, ...given.operations },
  };
  const { data, error } = connectorManifest.safeParse(spec, { error: wordsForIssue });
  if (error === undefined) return data;
  const { path, message } = error.issues[0]!;
  throw new DescriptionRefused(path.map(String), message);
}

/** @throws DescriptionRefused */
function documentOf({ document }: OpenApiSource): OpenApi {
  let parsed: unknown = document;
  try {
    if (typeof document === 'string') parsed = parse(document, { maxAliasCount: 100 }) as unknown;
  } catch (error) {
    throw new DescriptionRefused(['openapi', 'document'], `is neither YAML nor JSON: ${(error as Error).message.split('\n')[0]}`);
  }
  const root = asObject(parsed);
  const { openapi: version } = root;
  if (typeof version !== 'string' || !/^3\.[01]\.\d+/.test(version)) {
    const found = typeof version === 'string' ? version : root['swagger'] === undefined ? 'none' : `Swagger ${textOf(root['swagger'])}`;
    throw new DescriptionRefused(['openapi', 'document'], `must be OpenAPI 3.0 or 3.1, and says ${found}`);
  }
  return { root, isThreeOne: version.startsWith('3.1') };
}

/** @throws DescriptionRefused */
function operationsOf(document: OpenApi, source: OpenApiSource, own: Readonly<Record<string, unknown>>) {
  const operations: Record<string, OperationSpec> = {};
  const reasons = new Map<string, string>();
  for (const [name, operation] of allOperations(document)) {
    if (source.only?.includes(name) === false || Object.hasOwn(own, name)) continue;
    try {
      operations[name] = manifestOperation(document, operation, source.operations[name] ?? {});
    } catch (error) {
      if (!(error instanceof OperationLeftOut)) throw error;
      reasons.set(name, error.message);
    }
  }
  const offered = Object.keys(operations);
  const whyNot = (name: string): string =>
    reasons.get(name) ?? `is no operation of the document (it has ${listed([...offered, ...reasons.keys()])})`;
  for (const [at, name] of (source.only ?? []).entries())
    if (!Object.hasOwn(operations, name) && !Object.hasOwn(own, name))
      throw new DescriptionRefused(['openapi', 'only', String(at)], `${name}: ${whyNot(name)}`);
  for (const name of Object.keys(source.operations))
    if (!Object.hasOwn(operations, name)) throw new DescriptionRefused(['openapi', 'operations', name], whyNot(name));
  if (offered.length > mostOperations)
    throw new DescriptionRefused(
      ['openapi', 'only'],
      `is missing: the document has ${offered.length} operations, and a connector at most ${mostOperations}`,
    );
  if (offered.length + Object.keys(own).length === 0) {
    const [[name, why] = ['', 'it has none']] = reasons;
    throw new DescriptionRefused(['openapi', 'document'], `has no operation that can be sent: ${name} ${why}`.trim());
  }
  const leftOut = source.only === undefined ? [...reasons].map(([name, why]) => `Left out: ${name}, because it ${why}`.slice(0, 300)) : [];
  return { operations, leftOut };
}

/** All operations by name. An `operationId` becomes a name without other characters than letters and digits. */
function allOperations(document: OpenApi): Map<string, OperationOf> {
  const found = new Map<string, OperationOf>();
  for (const [path, item] of Object.entries(asObject(document.root['paths']))) {
    const place = asObject(resolved(document, item));
    for (const method of methods) {
      if (place[method] === undefined) continue;
      const operation = asObject(place[method]);
      const name = operationNameOf(operation['operationId'], method, path);
      const free = Array.from({ length: mostOperations * 5 }, (_, at) => (at === 0 ? name : `${name.slice(0, 59)}${at + 1}`)).find(
        (one) => !found.has(one),
      );
      if (free !== undefined) found.set(free, { method, path, operation, shared: place['parameters'] });
    }
  }
  return found;
}

/** Absolute addresses of the servers, with the defaults of their variables. */
function serversOf({ root }: OpenApi): string[] {
  const servers = Array.isArray(root['servers']) ? root['servers'] : [];
  return servers.flatMap((server) => {
    const { url, variables } = asObject(server);
    if (typeof url !== 'string') return [];
    const filled = url.replaceAll(/\{([^{}]+)\}/g, (_, name: string) => textOf(asObject(asObject(variables)[name])['default']));
    return /^https?:\/\//.test(filled) && URL.canParse(filled) ? [filled.replace(/\/$/, '')] : [];
  });
}

function hostsOf(servers: readonly string[]): string[] {
  const hosts = new Set(servers.map((server) => new URL(server).hostname));
  return hosts.size === 0 ? ['*'] : [...hosts];
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
