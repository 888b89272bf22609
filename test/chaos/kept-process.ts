import { mkdirSync, appendFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { cpuMsWithChildren } from '../forms/process-cpu.js';
import { ServiceProcess, answersReady } from '../forms/service-process.js';

export interface KeptProcessOptions {
  readonly name: string;
  readonly service: string;
  readonly environment: Record<string, string>;
  /** The folder whose `dist` it runs. */
  readonly root: string;
  /** Its output is appended to this file when it ends. */
  readonly outputFile: string;
  /** Resolves with whether it is ready; default: its `/readyz`. */
  readonly probe?: (port: number) => Promise<boolean>;
  readonly port?: number;
}

const restartAfterMs = 500;

/** A service that is restarted whenever it ends, as Kubernetes does, until it is killed or stopped. */
export class KeptProcess {
  /** Unexpected ends. The reason is in its output. */
  readonly surprises: string[] = [];
  private wanted = false;
  private isPaused = false;
  private earlierCpuMs = 0;

  private constructor(
    readonly name: string,
    private readonly process: ServiceProcess,
    private readonly outputFile: string,
    private readonly probe: (port: number) => Promise<boolean>,
  ) {}

  static async create(options: KeptProcessOptions): Promise<KeptProcess> {
    const { name, service, environment, root, outputFile, probe = answersReady } = options;
    mkdirSync(dirname(outputFile), { recursive: true });
    return new KeptProcess(
      name,
      new ServiceProcess(service, options.port ?? (await freePort()), environment, probe, root),
      outputFile,
      probe,
    );
  }

  get service(): string {
    return this.process.service;
  }

  get url(): string {
    return this.process.url;
  }

  get port(): number {
    return this.process.port;
  }

  get running(): boolean {
    return this.wanted;
  }

  get paused(): boolean {
    return this.isPaused;
  }

  /** User and system time of all its processes so far. */
  get cpuMs(): number {
    return this.earlierCpuMs + cpuMsWithChildren(this.process.pid);
  }

  /** Starts it without waiting until it is ready. */
  up(): void {
    this.wanted = true;
    this.launch();
  }

  ready(deadlineMs = 180_000): Promise<true> {
    return waitFor(() => this.isReady(), { deadlineMs, what: `${this.name} to be ready` });
  }

  async isReady(): Promise<true | undefined> {
    return this.wanted && (await this.probe(this.port).catch(() => false)) ? true : undefined;
  }

  /** SIGKILL; it stays down until {@link up}. */
  async kill(): Promise<void> {
    this.wanted = false;
    this.earlierCpuMs = this.cpuMs;
    await this.process.kill();
    this.keepOutput();
  }

  /** The next {@link up} runs the `dist` of this folder. */
  moveTo(root: string): void {
    this.process.root = root;
  }

  /** SIGTERM; it stays down until {@link up}. Resolves with its exit status. */
  async stop(): Promise<number | null> {
    this.wanted = false;
    this.resume();
    this.earlierCpuMs = this.cpuMs;
    const status = await this.process.stop();
    this.keepOutput();
    return status;
  }

  pause(): void {
    this.isPaused = true;
    this.process.pause();
  }

  resume(): void {
    if (this.isPaused) this.process.resume();
    this.isPaused = false;
  }

  private launch(): void {
    const child = this.process.launch();
    child.once('exit', (code, signal) => {
      if (!this.wanted || this.process.pid !== child.pid) return;
      this.surprises.push(`${this.name} ended by itself (${code ?? signal})`);
      this.keepOutput();
      void pause(restartAfterMs).then(() => {
        if (this.wanted && this.process.pid === child.pid) this.launch();
      });
    });
  }

  private keepOutput(): void {
    appendFileSync(this.outputFile, `${this.process.tail(10_000)}\n`);
  }
}
