import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '#libs/ports';
import { sleep } from '#libs/time';
import { Program, endsWithParent, flagsOf } from '../programs/program.js';
import type { Flags } from '../programs/program.js';
import { root } from '../programs/root.js';
import { cache } from './programs.js';
import type { KubernetesPrograms } from './programs.js';

/** A node that takes pods and runs none. */
export interface NodeOfCluster {
  readonly name: string;
  readonly zone: string;
}

/** The outcome of kubectl. */
export interface KubectlResult {
  readonly status: number;
  readonly printed: string;
  /** Its standard error, with the warnings of the API. */
  readonly said: string;
}

/** A Kubernetes API on loopback with its controllers and scheduler; kwok answers for the nodes. */
export interface ControlPlane {
  readonly kubeconfig: string;
  /** Runs kubectl. */
  kubectl(args: readonly string[], input?: string): Promise<KubectlResult>;
  /** Runs kubectl. @returns what it printed @throws Error with what it said if it fails */
  run(args: readonly string[], input?: string): Promise<string>;
  stop(): Promise<void>;
}

const startDeadlineMs = 120_000;
const kubectlTimeoutMs = 180_000;
const largestOutputBytes = 64 * 1024 * 1024;

/**
 * Starts etcd, the API server, the controllers, the scheduler and kwok in a folder that the stop deletes, and registers the custom resources.
 * @throws Error with what a program printed if it ends, or if the API does not answer in time
 */
export async function startControlPlane(programs: KubernetesPrograms, nodes: readonly NodeOfCluster[]): Promise<ControlPlane> {
  await mkdir(cache, { recursive: true });
  const cluster = new LocalCluster(programs, await mkdtemp(join(cache, 'cluster-')));
  try {
    await cluster.start(nodes);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

class LocalCluster implements ControlPlane {
  readonly kubeconfig: string;
  private readonly running = new Map<string, Program>();

  constructor(
    private readonly programs: KubernetesPrograms,
    private readonly directory: string,
  ) {
    this.kubeconfig = join(directory, 'kubeconfig');
  }

  async start(nodes: readonly NodeOfCluster[]): Promise<void> {
    const [etcdPort, peerPort, apiPort, kwokPort] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const url = (port: number): string => `http://127.0.0.1:${port}`;
    const key = join(this.directory, 'accounts.key');
    const tokens = join(this.directory, 'tokens.csv');
    await this.writeCredentials(key, tokens, apiPort);
    await this.launch('etcd', 'etcd', {
      'data-dir': join(this.directory, 'etcd'),
      'unsafe-no-fsync': true,
      'log-level': 'error',
      'listen-client-urls': url(etcdPort),
      'advertise-client-urls': url(etcdPort),
      'listen-peer-urls': url(peerPort),
      'initial-advertise-peer-urls': url(peerPort),
      'initial-cluster': `default=${url(peerPort)}`,
    });
    await this.launch('kube-apiserver', 'kube-apiserver', {
      'etcd-servers': url(etcdPort),
      'bind-address': '127.0.0.1',
      'secure-port': apiPort,
      // Not its own address: a Service with a loopback endpoint is refused, and nothing here uses it.
      'advertise-address': '10.10.0.1',
      'endpoint-reconciler-type': 'none',
      'cert-dir': join(this.directory, 'certificates'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': key,
      'service-account-signing-key-file': key,
      'token-auth-file': tokens,
      'authorization-mode': 'RBAC',
      'service-cluster-ip-range': '10.96.0.0/16',
    });
    await this.untilTheApiAnswers();
    const { kubeconfig } = this;
    await this.launch('kube-controller-manager', 'kube-controller-manager', {
      kubeconfig,
      'secure-port': 0,
      'leader-elect': false,
      'service-account-private-key-file': key,
      'horizontal-pod-autoscaler-sync-period': '2s',
    });
    await this.launch('kube-scheduler', 'kube-scheduler', { kubeconfig, 'secure-port': 0, 'leader-elect': false });
    await this.launch('kwok', undefined, {
      kubeconfig,
      'manage-all-nodes': true,
      config: join(root, 'tools', 'kubernetes', 'nodes.yaml'),
      'server-address': `127.0.0.1:${kwokPort}`,
      'node-lease-duration-seconds': 40,
    });
    // Large ones do not fit into the annotation of a client-side apply.
    await this.run([
      'apply',
      '--server-side',
      '-f',
      this.programs.resourceDefinitions,
      '-f',
      join(root, 'tools', 'kubernetes', 'stand-ins.yaml'),
    ]);
    await this.run(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    if (nodes.length === 0) return;
    await this.run(['apply', '-f', '-'], nodes.map((node) => stringify(nodeManifest(node))).join('---\n'));
    await this.run(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s']);
  }

  async kubectl(args: readonly string[], input?: string): Promise<KubectlResult> {
    return new Promise((resolve) => {
      const all = ['kubectl', '--kubeconfig', this.kubeconfig, ...args];
      const options = { timeout: kubectlTimeoutMs, maxBuffer: largestOutputBytes, cwd: root };
      const child = execFile(this.programs.kube, all, options, (error, printed, said) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ status, printed, said });
      });
      child.stdin?.end(input);
    });
  }

  async run(args: readonly string[], input?: string): Promise<string> {
    const { status, printed, said } = await this.kubectl(args, input);
    if (status !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${status}:\n${said}`);
    return printed;
  }

  async stop(): Promise<void> {
    // etcd last: the others would wait for it.
    for (const program of [...this.running.values()].toReversed()) await program.end('SIGKILL');
    await rm(this.directory, { recursive: true, force: true });
  }

  /** @param part of the program of the control plane; undefined: kwok, a program of its own */
  private async launch(name: string, part: string | undefined, flags: Flags): Promise<void> {
    const program = part === undefined ? this.programs.kwok : this.programs.kube;
    const args = [...(part === undefined ? [] : [part]), ...flagsOf(flags)];
    const command = await endsWithParent([program, args]);
    this.running.set(name, new Program(command, join(this.directory, `${name}.log`), { cwd: this.directory }));
  }

  private async untilTheApiAnswers(): Promise<void> {
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      const { status, said } = await this.kubectl(['get', '--raw', '/readyz']);
      if (status === 0) return;
      for (const [name, program] of this.running) {
        if (program.hasEnded) throw new Error(`${name} ended:\n${await program.printed()}`);
      }
      if (performance.now() > deadline) throw new Error(`the API did not answer within ${startDeadlineMs / 1_000} s: ${said}`);
      await sleep(200);
    }
  }

  private async writeCredentials(key: string, tokens: string, apiPort: number): Promise<void> {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const token = randomBytes(16).toString('hex');
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'local', cluster: { server: `https://127.0.0.1:${apiPort}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'admin', user: { token } }],
      contexts: [{ name: 'local', context: { cluster: 'local', user: 'admin' } }],
      'current-context': 'local',
    };
    await writeFile(key, privateKey, { mode: 0o600 });
    await writeFile(tokens, `${token},admin,admin,system:masters\n`, { mode: 0o600 });
    await writeFile(this.kubeconfig, stringify(kubeconfig), { mode: 0o600 });
  }
}

function nodeManifest({ name, zone }: NodeOfCluster): object {
  const resources = { cpu: '16', memory: '64Gi', pods: '110' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'topology.kubernetes.io/zone': zone } },
    status: { capacity: resources, allocatable: resources },
  };
}
