import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { succeeds } from '../programs/program.js';
import { root } from '../programs/root.js';
import { findKubernetes } from './programs.js';

/** An object as it is applied. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

export const overlays = ['local', 'production', 'production-multi-region'] as const;
export type Overlay = (typeof overlays)[number];

const run = promisify(execFile);
const renderTimeoutMs = 60_000;
const largestOutputBytes = 64 * 1024 * 1024;

/** The folder of an overlay, from the root of the checkout. */
export function folderOf(overlay: Overlay): string {
  return join('k8s', 'overlays', overlay);
}

/** @returns the program and arguments that render a kustomization, or one sentence that says what is missing */
export async function findRenderer(): Promise<readonly [program: string, ...args: string[]] | string> {
  const kubernetes = await findKubernetes();
  if (typeof kubernetes !== 'string') return [kubernetes.kube, 'kubectl', 'kustomize'];
  if (await succeeds('kubectl', 'version', '--client')) return ['kubectl', 'kustomize'];
  return `${kubernetes}, and there is no kubectl`;
}

export async function render([program, ...args]: readonly [string, ...string[]], overlay: Overlay): Promise<Manifest[]> {
  const options = { timeout: renderTimeoutMs, maxBuffer: largestOutputBytes, cwd: root };
  const { stdout } = await run(program, [...args, folderOf(overlay)], options);
  return parseAllDocuments(stdout).map((parsed) => parsed.toJS() as Manifest);
}

export function describe({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name}`;
}
