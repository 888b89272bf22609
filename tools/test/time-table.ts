import { availableParallelism } from 'node:os';
import { cpuMsWithChildren } from '../../test/forms/process-cpu.js';

interface TimedStep {
  readonly title: string;
  readonly seconds: number;
  /** User and system time of everything that this process started; 0 where there is no /proc. */
  readonly cpuSeconds: number;
  readonly tests: number;
}

/** The wall time and the CPU time of each step of a test run. */
export class TimeTable {
  private readonly steps: TimedStep[] = [];

  /** @param step resolves with how many tests it ran */
  async measure(title: string, step: () => Promise<number>): Promise<void> {
    const startedAt = performance.now();
    const cpuBefore = cpuMsWithChildren(process.pid);
    const tests = await step();
    this.steps.push({
      title,
      seconds: (performance.now() - startedAt) / 1_000,
      cpuSeconds: (cpuMsWithChildren(process.pid) - cpuBefore) / 1_000,
      tests,
    });
  }

  lines(): string[] {
    const sum = (value: (step: TimedStep) => number): number => this.steps.reduce((total, step) => total + value(step), 0);
    const all = {
      title: 'all',
      seconds: sum((one) => one.seconds),
      cpuSeconds: sum((one) => one.cpuSeconds),
      tests: sum((one) => one.tests),
    };
    const width = Math.max(...this.steps.map(({ title }) => title.length));
    const line = (title: string, ...cells: string[]): string => [title.padEnd(width), ...cells.map((cell) => cell.padStart(8))].join('  ');
    return [
      line(`step (${availableParallelism()} cores)`, 'seconds', 'CPU s', 'tests'),
      ...[...this.steps, all].map(({ title, seconds, cpuSeconds, tests }) =>
        line(title, seconds.toFixed(1), cpuSeconds.toFixed(1), String(tests)),
      ),
    ];
  }
}
