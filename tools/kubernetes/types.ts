import { join } from 'node:path';
import ts from 'typescript';
import { root } from '../programs/root.js';
import { describe } from './manifests.js';
import type { Manifest } from './manifests.js';

/** The package with the types of each API group; those of Kubernetes itself are in one package. */
const packages: Readonly<Record<string, string>> = {
  'keda.sh': '@kubernetes-models/keda',
  'kafka.strimzi.io': '@kubernetes-models/strimzi-kafka-operator',
  'postgresql.cnpg.io': '@kubernetes-models/cloudnative-pg',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api',
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

/**
 * Checks the manifests against the published types: unknown and missing fields, and values of another type. It needs no API, and knows the
 * resources of CloudNativePG, which the API of `startControlPlane` takes unseen.
 * @returns one line per problem
 */
export function typeProblems(manifests: readonly Manifest[]): string[] {
  const file = join(root, 'tools', 'kubernetes', 'manifests-of-a-check.ts');
  const lines = manifests.map(
    (manifest, index) => `export const m${index}: import('${moduleOf(manifest)}').I${manifest.kind} = ${JSON.stringify(manifest)};`,
  );
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2024,
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    types: [],
  };
  const onDisk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...onDisk,
    fileExists: (name) => name === file || onDisk.fileExists(name),
    getSourceFile: (name, ...rest) =>
      name === file ? ts.createSourceFile(name, lines.join('\n'), ts.ScriptTarget.ES2024) : onDisk.getSourceFile(name, ...rest),
  };
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program, program.getSourceFile(file)).map((diagnostic) => {
    const { line } = diagnostic.file!.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
    return `${describe(manifests[line]!)}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ').replaceAll(`'"`, "'").replaceAll(`"'`, "'")}`;
  });
}

function moduleOf({ apiVersion }: Manifest): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const name = packages[group!];
  if (name !== undefined) return `${name}/${group}/${version}`;
  return group === '' ? `kubernetes-models/${version}` : `kubernetes-models/${group}/${version}`;
}
