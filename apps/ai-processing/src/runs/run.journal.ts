import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { FinishedStep, StepJournal } from '../flows/flow.runner.js';
import type { CallRecord } from '../flows/step.js';
import { RunLeaseLost } from './run.errors.js';
import type { RunEnd, RunProgress, RunProgressWriter } from './run.progress.store.js';
import type { FinishedRun, RunningRun } from './run.store.js';

/**
 * The progress of a claimed run that is not written yet. It is written at four moments: before a call, so that the call is noted; after a failed
 * request of a call; after the last open call returned, unless the run ends at once; and when the run ends. So the outputs of steps that only compute
 * need no write of their own, and the result of a call never waits for another call.
 */
export class RunJournal implements StepJournal {
  private steps: FinishedStep[] = [];
  private calls: RunProgress['calls'][number][] = [];
  /** Steps with a noted call whose output is not written, by the state of the call. */
  private readonly open = new Map<string, 'noted' | 'failed' | 'returned'>();
  /** The last write; a run has one write at a time. */
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly run: RunningRun,
    private readonly outputs: ReadonlyMap<string, Json>,
    private readonly writer: RunProgressWriter,
  ) {}

  stored(step: string): Json | undefined {
    return this.outputs.get(step);
  }

  /** @throws RunLeaseLost if another process has claimed the run, so that this one does not repeat that one's call */
  async noteCall(step: string): Promise<void> {
    this.open.set(step, 'noted');
    try {
      if ((await this.write()) === undefined) throw new RunLeaseLost(this.run.id);
    } catch (error) {
      this.open.delete(step);
      throw error;
    }
  }

  failCall(step: string): void {
    this.open.set(step, 'failed');
  }

  async recordCall(step: string, request: CallRecord): Promise<void> {
    this.calls.push({ step, request });
    if (request.outcome === 'succeeded') return; // written with its step
    this.open.set(step, 'failed');
    await this.write();
  }

  /** Returns the output as it reads once it is stored, so that a run which goes on sees the same as one that is resumed. */
  async keep(finished: FinishedStep): Promise<Json> {
    const output = parseStoredJson(JSON.stringify(finished.output));
    this.steps.push({ ...finished, output });
    if (!this.open.has(finished.step)) return output;
    this.open.set(finished.step, 'returned');
    if ([...this.open.values()].some((state) => state !== 'returned')) await this.write();
    return output;
  }

  /** Writes the end of the claim and everything not written before. Undefined if the claim is lost; then only the requests of calls are written. */
  async end(end: RunEnd): Promise<RunningRun | FinishedRun | undefined> {
    for (const [step, state] of this.open) if (state === 'failed') this.open.delete(step);
    return this.write(end);
  }

  private async write(end?: RunEnd): Promise<RunningRun | FinishedRun | undefined> {
    const turn = this.writing.then(() => this.writePending(end));
    this.writing = turn.catch(() => undefined);
    return turn;
  }

  /** A failed write is not repeated, because it may have been committed. The next holder of the claim reads what is stored. */
  private async writePending(end: RunEnd | undefined): Promise<RunningRun | FinishedRun | undefined> {
    const { steps, calls } = this;
    this.steps = [];
    this.calls = [];
    const returned = steps.filter(({ step }) => this.open.has(step));
    const unanswered = this.open.size - returned.length;
    const written = await this.writer.add({ run: this.run, steps, calls, unanswered, ...(end === undefined ? {} : { end }) });
    for (const { step } of returned) this.open.delete(step);
    return written;
  }
}
