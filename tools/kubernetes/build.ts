import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { root } from '../programs/root.js';
import { cache, kubernetesVersion, kwokVersion } from './programs.js';

/** Modules with the definitions of custom resources, and the folder of them in each. */
const definitions = [
  ['github.com/kedacore/keda/v2@v2.21.0', 'config/crd/bases'],
  ['sigs.k8s.io/gateway-api@v1.6.3', 'config/crd/standard'],
  ['github.com/cert-manager/cert-manager@v1.21.2', 'deploy/crds'],
  ['github.com/external-secrets/external-secrets@v1.3.2', 'config/crds/bases'],
  ['github.com/prometheus-operator/prometheus-operator@v0.85.0', 'example/prometheus-operator-crd'],
] as const;
const module = 'k8s.io/kubernetes';

/**
 * Builds etcd, the control plane and kubectl as one program, and kwok, from their released Go modules, and fetches the definitions of custom
 * resources. Needs Go 1.26, 1 GB for modules and 3 GB for what is built in between.
 */
export async function build(): Promise<void> {
  const work = join(cache, 'build');
  await mkdir(work, { recursive: true });
  console.log(`Building Kubernetes ${kubernetesVersion}; this takes up to 45 minutes …`);
  await writeFile(join(work, 'go.mod'), await goModule(work));
  await copyFile(join(root, 'tools', 'kubernetes', 'control-plane', 'main.go'), join(work, 'main.go'));
  await go(work, ['mod', 'tidy']);
  const version = 'k8s.io/component-base/version';
  const [major, minor] = kubernetesVersion.split('.');
  const flags = `-s -w -X ${version}.gitVersion=v${kubernetesVersion} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`;
  await go(work, ['build', '-trimpath', '-ldflags', flags, '-o', 'kube.draft', '.']);
  await rename(join(work, 'kube.draft'), join(cache, `kube-${kubernetesVersion}`));

  console.log(`Building kwok ${kwokVersion} …`);
  await go(work, ['install', '-trimpath', '-ldflags', '-s -w', `sigs.k8s.io/kwok/cmd/kwok@v${kwokVersion}`], { GOBIN: work });
  await rename(join(work, 'kwok'), join(cache, `kwok-${kwokVersion}`));

  console.log('Fetching the definitions of custom resources …');
  await fetchDefinitions(work);
  await rm(work, { recursive: true });
  console.log('Strimzi has its definitions in no module: the API that npm run kubernetes starts takes its resources without a look.');
}

/** Kubernetes replaces its own modules by folders beside it, which a module that requires it has to undo. */
async function goModule(work: string): Promise<string> {
  await writeFile(join(work, 'go.mod'), 'module kube\n');
  const { GoMod } = JSON.parse(await go(work, ['mod', 'download', '-json', `${module}@v${kubernetesVersion}`])) as { GoMod: string };
  const staged = [...(await readFile(GoMod, 'utf8')).matchAll(/^\s*(\S+) => \.\/staging\//gm)].map(([, name]) => name!);
  const ofStaged = kubernetesVersion.replace(/^1/, '0');
  return [
    'module kube',
    'go 1.26',
    `require ${module} v${kubernetesVersion}`,
    ...staged.map((name) => `replace ${name} => ${name} v${ofStaged}`),
    '',
  ].join('\n');
}

async function fetchDefinitions(work: string): Promise<void> {
  const draft = join(work, 'crds');
  await mkdir(draft, { recursive: true });
  for (const [name, folder] of definitions) {
    const { Dir } = JSON.parse(await go(work, ['mod', 'download', '-json', name])) as { Dir: string };
    const files = (await readdir(join(Dir, folder))).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
    for (const file of files) await copyFile(join(Dir, folder, file), join(draft, file));
  }
  await copyFile(join(root, 'tools', 'kubernetes', 'strimzi.yaml'), join(draft, 'kafka.strimzi.io.yaml'));
  await cp(draft, join(cache, 'crds'), { recursive: true });
}

/** @returns what it printed @throws Error if it fails; what it says meanwhile is shown */
async function go(folder: string, args: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const child = spawn('go', args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0', ...environment },
  });
  const [[status], printed] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, text(child.stdout)]);
  if (status !== 0) throw new Error(`go ${args.slice(0, 2).join(' ')} failed`);
  return printed;
}
