import { Worker } from 'node:worker_threads';

const loop = `
const { get, Agent } = require('node:http');
const { parentPort, workerData } = require('node:worker_threads');
const agent = new Agent({ keepAlive: true });
const times = [];
let isOver = false;
parentPort.on('message', () => { isOver = true; });
const ask = () => {
  const startedAt = performance.now();
  const done = () => {
    const ms = performance.now() - startedAt;
    times.push(ms);
    if (ms > 250) parentPort.postMessage(ms);
    if (isOver) { parentPort.postMessage(times); process.exit(0); }
    setTimeout(ask, 20);
  };
  get(workerData, { agent }, (response) => response.resume().on('end', done)).on('error', done);
};
ask();
`;

/** Asks an address fifty times a second from a thread of its own, so that the work of the test does not count. */
export class HealthWatch {
  private worker: Worker | undefined;
  private result: { p99: number; longest: number } = { p99: 0, longest: 0 };

  /** @param onSlow is told of each answer that took longer than 250 ms */
  start(url: string, onSlow: (ms: number) => void = () => undefined): void {
    this.worker = new Worker(loop, { eval: true, workerData: url, execArgv: [] });
    this.worker.on('message', (message: number | number[]) => {
      if (typeof message === 'number') onSlow(Math.round(message));
    });
  }

  /** In ms. May be called again. */
  async stop(): Promise<{ p99: number; longest: number }> {
    const { worker } = this;
    this.worker = undefined;
    if (worker === undefined) return this.result;
    const times = await new Promise<number[]>((resolve, reject) => {
      worker.on('message', (message: number | number[]) => {
        if (typeof message !== 'number') resolve(message);
      });
      worker.once('error', reject);
      worker.postMessage('end', []);
    });
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
    this.result = { p99: at(0.99), longest: at(1) };
    return this.result;
  }
}
