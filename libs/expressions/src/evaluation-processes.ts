import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { messageOf } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { startTimer } from '#libs/time';
import type { EvaluationLimits } from './evaluation.js';
import { ExpressionFailed } from './expression.errors.js';
import type { ExpressionLimit } from './expression.errors.js';

/** The expression that a process evaluates, with its input as JSON text. */
export interface EvaluationRequest {
  readonly text: string;
  readonly limits: EvaluationLimits;
  readonly input: string;
}

/** The answer of the process: the value as JSON text, undefined for no value; or why it failed. */
export type EvaluationAnswer =
  | { readonly value: string | undefined }
  | { readonly failed: string; readonly limit: ExpressionLimit | undefined }
  | { readonly defect: string };

interface Job {
  readonly owner: string;
  readonly request: EvaluationRequest;
  readonly resolve: (answer: EvaluationAnswer) => void;
}

export interface EvaluationProcessesOptions {
  /** Most processes. Default 2. */
  readonly size?: number;
  /** Most memory of a process for the values of expressions, in MiB. Default 128. */
  readonly memoryMegabytes?: number;
}

/**
 * Added to the time of an evaluation before its process is killed: within it JSONata's own clock ends what it can, and the process goes on. Longer
 * than a pause of the garbage collector.
 */
const graceMs = 100;

/** The processes run compiled code: where this code is run as TypeScript, that of the last build. */
const mainFile = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../dist/libs/expressions/src/evaluation.main.js' : './evaluation.main.js',
    import.meta.url,
  ),
);

/**
 * Evaluates expressions in processes that are killed when one takes too much time or memory: an engine that runs out of memory ends its process,
 * with all its evaluators. The processes start when they are needed, and do not keep this one alive. Each owner has at most one evaluation under way, and owners take turns, so that one of them cannot keep the others waiting.
 */
export class EvaluationProcesses {
  private readonly waiting = new Map<string, Job[]>();
  private readonly busyOwners = new Set<string>();
  private readonly idle: EvaluationProcess[] = [];
  private count = 0;
  private readonly size: number;
  private readonly memoryMegabytes: number;

  constructor({ size = 2, memoryMegabytes = 128 }: EvaluationProcessesOptions = {}) {
    this.size = size;
    this.memoryMegabytes = memoryMegabytes;
  }

  /** @throws ExpressionFailed */
  async evaluate(owner: string, { text, limits }: Omit<EvaluationRequest, 'input'>, input: unknown): Promise<Json | undefined> {
    const request = { text, limits, input: textOf(text, input) };
    const answer = await new Promise<EvaluationAnswer>((resolve) => {
      const jobs = this.waiting.get(owner);
      if (jobs === undefined) this.waiting.set(owner, [{ owner, request, resolve }]);
      else jobs.push({ owner, request, resolve });
      this.assign();
    });
    if ('defect' in answer) throw new Error(answer.defect);
    if ('failed' in answer) throw new ExpressionFailed(text, answer.failed, answer.limit);
    return answer.value === undefined ? undefined : parseStoredJson(answer.value);
  }

  private assign(): void {
    for (;;) {
      const owner = this.nextOwner();
      if (owner === undefined) return;
      const idle = this.takeIdle() ?? this.start();
      if (idle === undefined) return;
      void this.run(idle, this.take(owner));
    }
  }

  private nextOwner(): string | undefined {
    for (const owner of this.waiting.keys()) if (!this.busyOwners.has(owner)) return owner;
    return undefined;
  }

  private takeIdle(): EvaluationProcess | undefined {
    for (let evaluator = this.idle.pop(); evaluator !== undefined; evaluator = this.idle.pop()) {
      if (!evaluator.hasEnded) return evaluator;
      this.count -= 1;
    }
    return undefined;
  }

  /** The owner goes to the end of the line. */
  private take(owner: string): Job {
    const jobs = this.waiting.get(owner)!;
    const job = jobs.shift()!;
    this.waiting.delete(owner);
    if (jobs.length > 0) this.waiting.set(owner, jobs);
    return job;
  }

  private start(): EvaluationProcess | undefined {
    if (this.count >= this.size) return undefined;
    this.count += 1;
    return new EvaluationProcess(this.memoryMegabytes);
  }

  private async run(evaluator: EvaluationProcess, { owner, request, resolve }: Job): Promise<void> {
    this.busyOwners.add(owner);
    const answer = await evaluator.evaluate(request);
    this.busyOwners.delete(owner);
    if (evaluator.hasEnded) this.count -= 1;
    else this.idle.push(evaluator);
    resolve(answer);
    this.assign();
  }
}

/** @throws ExpressionFailed if the input is nested too deep to be written */
function textOf(expression: string, input: unknown): string {
  try {
    return JSON.stringify(input ?? null);
  } catch (error) {
    throw new ExpressionFailed(expression, `The input cannot be written as JSON: ${messageOf(error)}`, 'depth', error);
  }
}

/** One process. It evaluates one expression at a time. */
class EvaluationProcess {
  hasEnded = false;
  private readonly child: ChildProcess;
  private readonly ready: Promise<void>;
  private settle: (answer: EvaluationAnswer) => void = () => undefined;

  constructor(private readonly memoryMegabytes: number) {
    this.child = fork(mainFile, {
      // The options of this process may resolve imports to sources, or open a debugger.
      execArgv: [`--max-old-space-size=${memoryMegabytes}`, '--max-semi-space-size=8'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {},
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.child.on('message', (message: 'ready' | EvaluationAnswer) => {
      if (message === 'ready') resolve();
      else this.settle(message);
    });
    const end = (answer: EvaluationAnswer): void => {
      this.hasEnded = true;
      this.settle(answer);
      resolve();
    };
    this.child.on('error', (error) => end({ defect: `the process for expressions failed: ${error.message}` }));
    this.child.on('exit', (status, signal) => end(this.answerAtEnd(status, signal)));
  }

  /** Never rejects. The time counts from when the process can begin. */
  async evaluate(request: EvaluationRequest): Promise<EvaluationAnswer> {
    const { promise, resolve } = Promise.withResolvers<EvaluationAnswer>();
    this.settle = resolve;
    this.keepAlive(true);
    await this.ready;
    const { timeoutMs } = request.limits;
    let isOver = false;
    // The answer may have come while this process had no time to read it, and be read right after the timer.
    const timer = startTimer(() => setImmediate(() => isOver || this.kill(timeoutMs)), timeoutMs + graceMs);
    if (!this.hasEnded) this.child.send(request, () => undefined); // what cannot be sent ends with an `exit` or an `error`
    const answer = await promise;
    isOver = true;
    clearTimeout(timer);
    this.settle = () => undefined;
    this.keepAlive(false);
    return answer;
  }

  private kill(timeoutMs: number): void {
    this.hasEnded = true;
    this.settle({ failed: `It took longer than ${timeoutMs} ms`, limit: 'time' });
    this.child.kill('SIGKILL');
  }

  private keepAlive(isNeeded: boolean): void {
    const verb = isNeeded ? 'ref' : 'unref';
    this.child[verb]();
    this.child.channel?.[verb]();
  }

  /** The engine aborts when its memory is used up; so does the system's own watch over memory. */
  private answerAtEnd(status: number | null, signal: NodeJS.Signals | null): EvaluationAnswer {
    const isMemory = signal === 'SIGABRT' || signal === 'SIGKILL' || signal === 'SIGTRAP' || status === 134;
    return isMemory
      ? { failed: `It needed more memory than ${this.memoryMegabytes} MiB`, limit: 'memory' }
      : { defect: `the process for expressions ended with ${status ?? signal}` };
  }
}
