import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { availableParallelism, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseStoredJson } from '#libs/json';
import { FairQueue } from '#libs/queues';
import { startTimer } from '#libs/time';
import { timeUsedUp } from './evaluation-messages.js';
import type { EvaluationAnswer, EvaluationReport, EvaluationRequest, ProcessorLimits } from './evaluation-messages.js';
import type { EvaluationResult } from './evaluation-program.js';
import { ProcessorShare } from './processor-share.js';

interface Job {
  readonly owner: string;
  readonly text: string;
  readonly limits: ProcessorLimits;
  readonly input: unknown;
  readonly resolve: (answer: EvaluationAnswer) => void;
}

export interface EvaluationProcessesOptions {
  /** The module that says what a text means: an `EvaluationProgram` in a file beside the caller's, by its compiled name. */
  readonly program: URL;
  /** Most evaluations at a time; there is at most one process more. Default: the number of cores, at most 4. */
  readonly atOnce?: number;
  /** Most memory of a process for values, in MiB. Default 128. */
  readonly memoryMegabytes?: number;
  /** Makes the error of an evaluation that may not wait, because so many of its owner do. */
  readonly refusal: (waiting: number) => Error;
  /** Most evaluations of one owner that wait for their turn. Default 1 000, which is more than the records that are handled at once need. */
  readonly maxWaiting?: number;
  /** Processors that the evaluations of one owner take over time. Default: an eighth of the cores, at most one, because one of an owner's is under way at a time. */
  readonly share?: number;
  /** Processor time that an owner may take at once before it has to rest, in ms. Default 1 000. */
  readonly burstMs?: number;
  /** Most evaluations that wait of an owner that has to rest. Default: `maxWaiting`. */
  readonly maxWaitingAtRest?: number;
  /** A process that had nothing to do for so long ends, unless it is the last one. Default 60 000. */
  readonly idleMs?: number;
}

/**
 * The niceness of the processes. Beside a process that wants all of a core, one of this niceness gets about a tenth of it, so tenants do not take
 * the cores from the services.
 */
const niceness = 10;

/** Processor time that counts for a process that was ended, beside what its evaluation took: another one has to start. */
const restartMs = 250;

/**
 * An evaluation is given up after this many times its processor time by the clock: what a process of this {@link niceness} may need for it on a busy
 * machine.
 */
const waitFactor = 10;

/** The processes run compiled code: where this code is run as TypeScript, that of the last build. */
function compiledCode(url: URL): URL {
  return import.meta.url.endsWith('.ts') ? new URL(url.href.replace(/\/libs\/(?=[^/]+\/src\/[^/]+$)/, '/dist/libs/')) : url;
}

const mainFile = fileURLToPath(compiledCode(new URL('./evaluation.main.js', import.meta.url)));

/**
 * Evaluates what tenants wrote, such as expressions, in processes that end when one takes too much time or memory: an engine that runs out of memory
 * ends its process, with all its evaluators. The processes start when they are needed, and do not keep this one alive.
 *
 * Each owner has at most one evaluation under way, and owners take turns, so that one of them cannot keep the others waiting. Beside the processes
 * that evaluate one more is started; those that have nothing to do for a while end, except for the one used last. An owner whose process had to end
 * waits until another one has taken its place, and takes none from the others. An owner that took more processor time than its share rests.
 */
export class EvaluationProcesses {
  private readonly waiting = new FairQueue<Job>();
  private readonly busyOwners = new Set<string>();
  /** Started, or about to be; the one used last is the last one. */
  private idle: EvaluationProcess[] = [];
  private idleTimer: NodeJS.Timeout | undefined;
  private restTimer: NodeJS.Timeout | undefined;
  private readonly share: ProcessorShare;
  private readonly maxWaitingAtRest: number;
  private underWay = 0;
  private readonly atOnce: number;
  private readonly memoryMegabytes: number;
  private readonly program: URL;
  private readonly refusal: (waiting: number) => Error;
  private readonly maxWaiting: number;
  private readonly idleMs: number;

  constructor(options: EvaluationProcessesOptions) {
    const {
      program,
      refusal,
      atOnce = Math.min(availableParallelism(), 4),
      memoryMegabytes = 128,
      maxWaiting = 1_000,
      maxWaitingAtRest = maxWaiting,
      idleMs = 60_000,
      share = Math.min(availableParallelism() / 8, 1),
      burstMs = 1_000,
    } = options;
    this.share = new ProcessorShare({ share, burstMs });
    this.maxWaitingAtRest = maxWaitingAtRest;
    this.program = compiledCode(program);
    this.atOnce = atOnce;
    this.memoryMegabytes = memoryMegabytes;
    this.refusal = refusal;
    this.maxWaiting = maxWaiting;
    this.idleMs = idleMs;
  }

  /** @throws the refusal if too many of the owner wait; another Error for a defect only */
  async evaluate(owner: string, { text, limits }: Omit<EvaluationRequest, 'input'>, input: unknown): Promise<EvaluationResult> {
    const waiting = this.waiting.lengthOf(owner);
    const most = this.share.restMs(owner) > 0 ? this.maxWaitingAtRest : this.maxWaiting;
    if (waiting >= most) throw this.refusal(waiting);
    const answer = await new Promise<EvaluationAnswer>((resolve) => {
      this.waiting.push(owner, { owner, text, limits, input, resolve });
      this.assign();
    });
    if ('defect' in answer) throw new Error(answer.defect);
    if ('failure' in answer) return answer;
    return { value: answer.value === undefined ? undefined : parseStoredJson(answer.value) };
  }

  private assign(): void {
    while (this.underWay < this.atOnce) {
      const job = this.waiting.shift((owner) => this.busyOwners.has(owner) || this.share.restMs(owner) > 0);
      if (job === undefined) return this.watchRest();
      void this.run(this.takeProcess(), job);
    }
  }

  /** Goes on when the first of the owners that rest has rested. */
  private watchRest(): void {
    const rests = [...this.waiting.firsts()].map(({ owner }) => this.share.restMs(owner)).filter((ms) => ms > 0);
    clearTimeout(this.restTimer);
    if (rests.length > 0) this.restTimer = startTimer(() => this.assign(), Math.ceil(Math.min(...rests)));
  }

  /** One that is ready, if there is any. */
  private takeProcess(): EvaluationProcess {
    this.idle = this.idle.filter(({ hasEnded }) => !hasEnded);
    const ready = this.idle.findLastIndex(({ isReady }) => isReady);
    return this.idle.splice(Math.max(ready, 0), 1)[0] ?? this.start();
  }

  private start(): EvaluationProcess {
    return new EvaluationProcess(this.program, this.memoryMegabytes);
  }

  private async run(evaluator: EvaluationProcess, job: Job): Promise<void> {
    this.underWay += 1;
    this.busyOwners.add(job.owner);
    const { answer, usedMs } = await this.answer(evaluator, job);
    this.share.spend(job.owner, usedMs);
    job.resolve(answer);
    this.underWay -= 1;
    const next = evaluator.hasEnded ? this.start() : evaluator;
    next.idleSinceMs = performance.now();
    this.idle.push(next);
    this.watchIdle();
    this.assign();
    await next.ready;
    this.busyOwners.delete(job.owner);
    this.assign();
  }

  private watchIdle(): void {
    if (this.idle.length > 1) this.idleTimer ??= startTimer(() => this.endIdle(), this.idleMs).unref();
  }

  /** Keeps the one used last. */
  private endIdle(): void {
    this.idleTimer = undefined;
    const since = performance.now() - this.idleMs;
    const ended = this.idle.slice(0, -1).filter(({ idleSinceMs }) => idleSinceMs <= since);
    for (const one of ended) one.end();
    this.idle = this.idle.filter(({ hasEnded }) => !hasEnded);
    this.watchIdle();
  }

  private async answer(evaluator: EvaluationProcess, { text, limits, input }: Job): Promise<EvaluationReport> {
    const written = textOf(input);
    if (typeof written !== 'string') return { answer: written, usedMs: 0 };
    evaluator.keepAlive(true);
    await evaluator.ready;
    if (this.idle.length === 0) this.idle.push(this.start());
    const report = await evaluator.evaluate({ text, limits, input: written });
    evaluator.keepAlive(false);
    return report;
  }
}

/** A failure if the input is nested too deep to be written. */
function textOf(input: unknown): string | EvaluationAnswer {
  try {
    return JSON.stringify(input ?? null);
  } catch (error) {
    return { failure: { reason: `The input cannot be written as JSON: ${String(error)}`, limit: 'depth', cause: error } };
  }
}

/** One process. It evaluates one text at a time. */
class EvaluationProcess {
  /** By the monotonic clock. */
  idleSinceMs = performance.now();
  hasEnded = false;
  isReady = false;
  /** Fulfilled when the process can begin, or has ended. */
  readonly ready: Promise<void>;
  private readonly child: ChildProcess;
  private settle: (report: EvaluationReport) => void = () => undefined;
  private begun = { atMs: 0, limitMs: 0 };
  private timeUsedUp: EvaluationAnswer = { defect: 'the process for evaluations measured time although it evaluated nothing' };

  constructor(
    program: URL,
    private readonly memoryMegabytes: number,
  ) {
    this.child = fork(mainFile, [program.href], {
      // The options of this process may resolve imports to sources, or open a debugger.
      execArgv: [`--max-old-space-size=${memoryMegabytes}`, '--max-semi-space-size=8'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {},
    });
    lowerPriority(this.child);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise.then(() => void (this.isReady = true));
    this.child.on('message', (message: 'ready' | EvaluationReport) => {
      if (message === 'ready') resolve();
      else this.settle(message);
    });
    const end = (answer: EvaluationAnswer): void => {
      this.hasEnded = true;
      this.settle({ answer, usedMs: this.usedMsAtEnd() });
      resolve();
    };
    this.child.on('error', (error) => end({ defect: `the process for evaluations failed: ${error.message}` }));
    this.child.on('exit', (status, signal) => end(this.answerAtEnd(status, signal)));
    this.keepAlive(false);
  }

  /** Asked when the process is ready. Never rejects. */
  async evaluate(request: EvaluationRequest): Promise<EvaluationReport> {
    if (this.hasEnded) return { answer: { defect: 'the process for evaluations ended before it could begin' }, usedMs: 0 };
    const { timeoutMs } = request.limits;
    const { promise, resolve } = Promise.withResolvers<EvaluationReport>();
    this.settle = resolve;
    this.begun = { atMs: performance.now(), limitMs: timeoutMs };
    this.timeUsedUp = { failure: { reason: `It took longer than ${timeoutMs} ms`, limit: 'time' } };
    let isOver = false;
    // The answer may have come while this process had no time to read it, and be read right after the timer.
    const timer = startTimer(() => setImmediate(() => isOver || this.kill()), timeoutMs * waitFactor);
    this.child.send(request, () => undefined); // what cannot be sent ends with an `exit` or an `error`
    const report = await promise;
    isOver = true;
    clearTimeout(timer);
    this.settle = () => undefined;
    return report;
  }

  /** The processor time, in ms, that counts for an evaluation that ends with this process. */
  private usedMsAtEnd(): number {
    const { atMs, limitMs } = this.begun;
    return Math.min(performance.now() - atMs, limitMs) + restartMs;
  }

  private kill(): void {
    this.settle({ answer: this.timeUsedUp, usedMs: this.usedMsAtEnd() });
    this.end();
  }

  /** Ends the process, which evaluates nothing that anybody waits for. */
  end(): void {
    this.hasEnded = true;
    this.child.kill('SIGKILL');
  }

  /** Keeps the service from ending while it needs the answer. */
  keepAlive(isNeeded: boolean): void {
    const verb = isNeeded ? 'ref' : 'unref';
    this.child[verb]();
    this.child.channel?.[verb]();
  }

  /** The engine aborts when its memory is used up; so does the system's own watch over memory. */
  private answerAtEnd(status: number | null, signal: NodeJS.Signals | null): EvaluationAnswer {
    if (signal === timeUsedUp) return this.timeUsedUp;
    const isMemory = signal === 'SIGABRT' || signal === 'SIGKILL' || signal === 'SIGTRAP' || status === 134;
    return isMemory
      ? { failure: { reason: `It needed more memory than ${this.memoryMegabytes} MiB`, limit: 'memory' } }
      : { defect: `the process for evaluations ended with ${status ?? signal}` };
  }
}

/** A process that could not start, or has ended, has no priority. */
function lowerPriority({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, niceness);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SYSTEM_ERROR') throw error;
  }
}
