import { execFile } from 'node:child_process';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exists } from '../kafka/maven-jars.js';
import { succeeds } from '../programs/program.js';
import { root } from '../programs/root.js';

/** Kubernetes without containers: a control plane and nodes that exist in its API only. */
export interface KubernetesPrograms {
  /** etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl; the first argument says which. */
  readonly kube: string;
  /** Plays the kubelets (https://kwok.sigs.k8s.io). */
  readonly kwok: string;
  /** The folder of the definitions of custom resources. */
  readonly resourceDefinitions: string;
}

export const kubernetesVersion = '1.36.3';
export const kwokVersion = '0.8.0';
/** Folder of the programs that were built or unpacked; git ignores it. */
export const cache = join(root, '.kubernetes');
/** Ready programs beside the checkout, where a machine has them. */
const readyMade = join(root, '..', 'shared', 'kubernetes');
const run = promisify(execFile);
const unpackTimeoutMs = 120_000;

/** @returns the programs, or one sentence that says what is missing and what makes them */
export async function findKubernetes(): Promise<KubernetesPrograms | string> {
  const programs = {
    kube: join(cache, `kube-${kubernetesVersion}`),
    kwok: join(cache, `kwok-${kwokVersion}`),
    resourceDefinitions: join(cache, 'crds'),
  };
  const built = await Promise.all(Object.values(programs).map(exists));
  if (built.every(Boolean)) return programs;
  if (!(await exists(join(readyMade, 'kube.xz'))))
    return 'there is no Kubernetes for this machine; npm run kubernetes -- build makes one with Go, once, in up to 45 minutes';
  if (!(await succeeds('xz', '--version')))
    return 'the ready Kubernetes cannot be unpacked, because there is no xz; apt-get install xz-utils';
  await mkdir(cache, { recursive: true });
  await Promise.all([unpack('kube.xz', programs.kube), unpack('kwok.xz', programs.kwok)]);
  return { ...programs, resourceDefinitions: join(readyMade, 'crds') };
}

/** Unpacks beside its place and renames it, so that a half of it is never taken for the whole. */
async function unpack(packed: string, program: string): Promise<void> {
  if (await exists(program)) return;
  const draft = `${program}.${process.pid}`;
  try {
    await run('sh', ['-c', 'xz -dc "$1" > "$2"', 'sh', join(readyMade, packed), draft], { timeout: unpackTimeoutMs });
    await chmod(draft, 0o755);
    await rename(draft, program);
  } finally {
    await rm(draft, { force: true });
  }
}
