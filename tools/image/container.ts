import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { parse } from 'yaml';
import type { MountedImage } from './buildah.js';

/** A service of docker-compose.yml, as far as it describes its container. */
export interface ComposeService {
  readonly command: readonly string[];
  /** Instead of that of the image. */
  readonly entrypoint?: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string;
  readonly pids_limit?: number;
}

/** @returns the services of docker-compose.yml by name */
export function composeServices(): Readonly<Record<string, ComposeService>> {
  return (parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as { services: Record<string, ComposeService> }).services;
}

/** Additions to the service for one container. */
export interface ContainerOptions {
  /** Beside the environment of the image. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Files and folders of this machine, by their path in the container; they cannot be written. */
  readonly files?: Readonly<Record<string, string>>;
}

type RunningProgram = ChildProcessByStdio<null, Readable, Readable>;

/**
 * A container of an image, made by runc as Compose would make it: its own processes and files, the root that it asks for, no capability that is not
 * granted, its limits of memory and processes, and the system calls that the default profile of container engines allows. Only the network is that of
 * this machine, so that tests reach it on loopback.
 */
export class Container {
  private readonly id = `millrace-${randomUUID()}`;
  private readonly bundle = mkdtempSync(join(tmpdir(), 'millrace-container-'));

  constructor(image: MountedImage, service: ComposeService, options: ContainerOptions = {}) {
    writeFileSync(join(this.bundle, 'config.json'), JSON.stringify(specification(image, service, options)));
  }

  /** Starts it. The program ends with its main process, with the same status, and passes signals on to it. */
  start(): RunningProgram {
    return spawn('runc', ['run', `--bundle=${this.bundle}`, this.id], { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Ends whatever runs in it. */
  kill(): void {
    execFileSync('runc', ['delete', '--force', this.id], { stdio: 'ignore' });
  }

  /** Ends it and removes its files. */
  dispose(): void {
    this.kill();
    rmSync(this.bundle, { recursive: true, force: true });
  }
}

/** https://github.com/opencontainers/runtime-spec */
function specification(
  { configuration, folder }: MountedImage,
  service: ComposeService,
  { environment = {}, files = {} }: ContainerOptions,
): object {
  const [uid, gid] = (service.user ?? configuration.User).split(':').map(Number);
  if (service.cap_drop?.includes('ALL') !== true || service.security_opt?.includes('no-new-privileges:true') !== true)
    throw new Error('a service of Millrace drops all capabilities and takes no new privileges');
  const mount = (destination: string, type: string, options: readonly string[] = []): object => ({
    destination,
    type,
    source: type,
    options,
  });
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid },
      args: [...(service.entrypoint ?? configuration.Entrypoint), ...service.command],
      env: [...configuration.Env, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
      cwd: configuration.WorkingDir,
      capabilities: {},
      noNewPrivileges: true,
    },
    root: { path: folder, readonly: service.read_only ?? false },
    mounts: [
      mount('/proc', 'proc'),
      mount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
      mount('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']),
      mount('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
      ...(service.tmpfs ?? []).map((path) => mount(path, 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777'])),
      ...Object.entries(files).map(([destination, source]) => ({ destination, type: 'bind', source, options: ['rbind', 'ro'] })),
    ],
    linux: {
      namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })),
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        memory: { limit: bytesOf(service.mem_limit) },
        pids: { limit: service.pids_limit ?? 0 },
      },
      maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
      ...(existsSync(profileFile) ? { seccomp: allowedCalls() } : {}),
    },
  };
}

/** `512m`, `1g`: https://github.com/compose-spec/compose-spec/blob/main/11-extension.md */
function bytesOf(limit: string | undefined): number {
  const [, digits, unit] = /^(\d+)([mg])$/.exec(limit ?? '') ?? [];
  if (digits === undefined) throw new Error(`a limit of memory is wanted, such as 512m, not ${limit}`);
  return Number(digits) * (unit === 'g' ? 1_073_741_824 : 1_048_576);
}

/** The default profile of container engines, as Debian has it beside buildah. */
const profileFile = '/usr/share/containers/seccomp.json';

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly args?: readonly object[];
    readonly errnoRet?: number;
    readonly includes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
    readonly excludes?: { readonly caps?: readonly string[]; readonly arches?: readonly string[] };
  }[];
}

/** The profile for a process without capabilities on this kind of processor. */
function allowedCalls(): object {
  const { defaultAction, defaultErrnoRet = 1, syscalls } = JSON.parse(readFileSync(profileFile, 'utf8')) as Profile;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const applies = ({ includes, excludes }: Profile['syscalls'][number]): boolean =>
    (includes?.caps ?? []).length === 0 &&
    (includes?.arches === undefined || includes.arches.includes(architecture)) &&
    excludes?.arches?.includes(architecture) !== true;
  return {
    defaultAction,
    defaultErrnoRet,
    architectures: [process.arch === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64'],
    syscalls: syscalls.filter(applies).map(({ names, action, args = [], errnoRet }) => ({
      names,
      action,
      args,
      ...(errnoRet === undefined ? {} : { errnoRet }),
    })),
  };
}
