import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aiProcessingSettings } from '#apps/ai-processing';
import { connectorsSettings } from '#apps/connectors';
import { ingestionSettings } from '#apps/ingestion';
import { querySettings } from '#apps/query';
import { fileVariable, readSettings } from '#libs/config';
import type { SettingsTable } from '#libs/config';
import { topics } from '#libs/contracts';
import { root } from '../programs/root.js';
import { describe } from './manifests.js';
import type { Manifest } from './manifests.js';

interface Container {
  name: string;
  image: string;
  env?: { name: string; value?: string }[];
  envFrom?: { configMapRef: { name: string } }[];
  volumeMounts?: { name: string; mountPath: string }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
}

interface PodSpec {
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  containers: Container[];
  volumes?: { name: string; secret?: { secretName: string } }[];
}

interface Trigger {
  type: string;
  metadata: Record<string, string>;
}

const tables: Readonly<Record<string, SettingsTable>> = {
  ingestion: ingestionSettings,
  'ai-processing': aiProcessingSettings,
  connectors: connectorsSettings,
  query: querySettings,
};
/** The keys of a trigger of KEDA, which takes any text in their place. From the documentation of its scaler `prometheus`. */
const triggerKeys: Readonly<Record<string, ReadonlySet<string>>> = {
  prometheus: new Set([
    'serverAddress',
    'query',
    'threshold',
    'activationThreshold',
    'namespace',
    'customHeaders',
    'ignoreNullValues',
    'queryParameters',
    'unsafeSsl',
    'timeout',
    'authModes',
  ]),
};
const mostPartitions = Math.max(...Object.values(topics).map(({ partitions }) => partitions));

/** @returns one line for each setting of a service that is misspelt, missing or wrong, and for each secret that it would not find */
export function settingProblems(manifests: readonly Manifest[]): string[] {
  return deploymentsOf(manifests).flatMap(([service, pod]) => {
    const table = tables[service]!;
    const environment = environmentOf(manifests, pod.containers[0]!);
    const known = new Set(Object.values(table).flatMap(({ env, secret }) => (secret ? [env, fileVariable(env)] : [env])));
    const unknown = Object.keys(environment).filter((name) => !known.has(name) && name !== 'NODE_OPTIONS');
    return [
      ...unknown.map((name) => `${service} has no setting ${name}`),
      ...Object.entries(environment)
        .flatMap(([name, path]) => missingFile(manifests, pod, name, path))
        .map((problem) => `${service}: ${problem}`),
      ...refusal(service, table, environment),
    ];
  });
}

/** @returns one line for each trigger that KEDA would pass over or that has no bound */
export function scalingProblems(manifests: readonly Manifest[]): string[] {
  return manifests
    .filter(({ kind }) => kind === 'ScaledObject')
    .flatMap((manifest) => {
      const { minReplicaCount, maxReplicaCount, fallback, triggers } = manifest.spec as {
        minReplicaCount?: number;
        maxReplicaCount?: number;
        fallback?: object;
        triggers: Trigger[];
      };
      const problems = triggers.flatMap(({ type, metadata }) => {
        const known = triggerKeys[type];
        if (known === undefined) return [`the trigger ${type} is not in the list of this check`];
        const unknown = Object.keys(metadata).filter((key) => !known.has(key));
        return unknown.map((key) => `a trigger of type ${type} has no ${key}`);
      });
      const most = Math.min(10 * (minReplicaCount ?? 0), mostPartitions);
      if ((maxReplicaCount ?? Infinity) > most)
        problems.push(`maxReplicaCount is above ${most}: ten times the least, and the partitions of a topic`);
      if (fallback === undefined) problems.push('it has no fallback for an outage of what it measures');
      return problems.map((problem) => `${describe(manifest)}: ${problem}`);
    });
}

/** @returns one line for each pod that misses what all pods have, and for each name that does not fit the release */
export function podProblems(manifests: readonly Manifest[]): string[] {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const composed: readonly string[] = readFileSync(join(root, 'docker-compose.yml'), 'utf8').match(/(?<=image: )\S+@sha256:\S+/g) ?? [];
  const problems = podsOf(manifests).flatMap(([manifest, pod]) => {
    const found: string[] = [];
    if (pod.automountServiceAccountToken !== false) found.push('mounts a token of the API, which it does not use');
    if (pod.enableServiceLinks !== false) found.push('gets the addresses of Services into its environment, in which settings are');
    for (const { name, image, resources } of pod.containers) {
      if (!/:[^:/]+$|@sha256:/.test(image) || image.endsWith(':latest')) found.push(`the image of ${name} names no version`);
      if (!/(^|\/)millrace:/.test(image) && !composed.includes(image))
        found.push(`the image of ${name} is not that of docker-compose.yml, with its digest`);
      if (resources?.requests?.['cpu'] === undefined || resources.requests['memory'] === undefined)
        found.push(`${name} requests no CPU or memory`);
      if (resources?.limits?.['memory'] === undefined) found.push(`${name} has no limit of memory`);
    }
    return found.map((problem) => `${describe(manifest)}: ${problem}`);
  });
  const job = `migrate-${version.replaceAll('.', '-')}`;
  if (!manifests.some(({ kind, metadata }) => kind === 'Job' && metadata.name === job))
    problems.push(`there is no Job ${job}, as the version in package.json wants`);
  for (const [service] of deploymentsOf(manifests)) {
    const guarded = manifests.some(({ kind, metadata }) => kind === 'PodDisruptionBudget' && metadata.name === service);
    if (!guarded) problems.push(`Deployment ${service}: a drain may end all of its pods, because it has no PodDisruptionBudget`);
  }
  return problems;
}

/** Kinds of ours that are in no namespace. */
const ofTheCluster: readonly string[] = ['Namespace'];

/** @returns one line for each object that would go to whatever namespace kubectl is set to */
export function namespaceProblems(manifests: readonly Manifest[]): string[] {
  return manifests
    .filter(({ kind, metadata }) => !ofTheCluster.includes(kind) && metadata.namespace !== 'millrace')
    .map((manifest) => `${describe(manifest)} is not in the namespace millrace`);
}

function podsOf(manifests: readonly Manifest[]): [Manifest, PodSpec][] {
  return manifests
    .filter(({ kind }) => ['Deployment', 'StatefulSet', 'Job'].includes(kind))
    .map((manifest) => [manifest, (manifest.spec as { template: { spec: PodSpec } }).template.spec]);
}

/** The services of Millrace with a table of settings. */
function deploymentsOf(manifests: readonly Manifest[]): [service: string, pod: PodSpec][] {
  return podsOf(manifests).flatMap(([{ kind, metadata }, pod]): [string, PodSpec][] =>
    kind === 'Deployment' && metadata.name in tables ? [[metadata.name, pod]] : [],
  );
}

function environmentOf(manifests: readonly Manifest[], { env = [], envFrom = [] }: Container): Record<string, string> {
  const maps = envFrom.map(
    ({ configMapRef: { name } }) => manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name)?.data ?? {},
  );
  return Object.assign({}, ...maps, Object.fromEntries(env.map(({ name, value }) => [name, value ?? '']))) as Record<string, string>;
}

/** A file of a setting stands in a Secret that is mounted; where External Secrets make the Secret, it has the file. */
function missingFile(manifests: readonly Manifest[], pod: PodSpec, name: string, path: string): string[] {
  if (!name.endsWith('_FILE') || path === '') return [];
  const mount = pod.containers[0]!.volumeMounts?.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
  const volume = pod.volumes?.find((one) => one.name === mount?.name);
  if (mount === undefined || volume?.secret === undefined) return [`${name} is ${path}, where no Secret is mounted`];
  const { secretName } = volume.secret;
  const external = manifests.find(({ kind, metadata }) => kind === 'ExternalSecret' && metadata.name === secretName);
  if (external === undefined) return [];
  const keys = (external.spec as { data: { secretKey: string }[] }).data.map(({ secretKey }) => secretKey);
  const file = path.slice(mount.mountPath.length + 1);
  return keys.includes(file) ? [] : [`${name} is ${path}, but the ExternalSecret ${secretName} has no ${file}`];
}

/** The refusal of the service itself, with values that fit in the place of secrets, and an existing file in the place of files. */
function refusal(service: string, table: SettingsTable, environment: Readonly<Record<string, string>>): string[] {
  const values = { ...environment };
  for (const { env, secret } of Object.values(table)) {
    const given = values[fileVariable(env)];
    if (secret && given !== undefined) {
      delete values[fileVariable(env)];
      values[env] = env.endsWith('DATABASE_URL')
        ? 'postgres://login@postgres/millrace'
        : env === 'SECRETS_KEY'
          ? randomBytes(32).toString('base64')
          : randomBytes(32).toString('hex');
    } else if (env.endsWith('_FILE') && values[env] !== undefined && values[env] !== '') values[env] = join(root, 'package.json');
  }
  try {
    readSettings(service, table, values);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
