import type { CallRecord, FinishedStep, StepJournal, StoredStep, WaitEnd, WaitRequest } from '#libs/flows';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { StorageUnavailable } from '#libs/persistence';
import { RunLeaseLost } from './run.errors.js';
import type { FirstProgress, KeptStep, RunEnd, RunProgress, RunProgressWriter } from './run.progress.store.js';
import type { Run, RunningRun } from './run.store.js';

/** The start and the trace of a new run, stored with its first write. */
export type RunBeginning = Pick<FirstProgress, 'startedAt' | 'traceId'>;

/**
 * The progress of a claimed run that is not written yet. A run that is new is stored by its first write. It is written at four moments: before a call,
 * so that the call is noted; after a failed request of a call; after the last open call returned, unless the run ends at once; and when the run ends.
 * So the outputs of steps that only compute need no write of their own, and the result of a call never waits for another call.
 */
export class RunJournal implements StepJournal {
  private steps: KeptStep[] = [];
  /** Results of the run so far, stored or not. */
  private results: number;
  private calls: RunProgress['calls'][number][] = [];
  /** Steps with a noted call whose output is not written, by the state of the call. */
  private readonly open = new Map<string, 'noted' | 'failed' | 'returned'>();
  private refused = false;
  private readonly waiting = new Map<string, WaitRequest>();
  /** The last write; a run has one write at a time. */
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly run: RunningRun,
    private readonly resumed: ReadonlyMap<string, StoredStep>,
    private readonly writer: Pick<RunProgressWriter, 'begin' | 'write'>,
    /** Undefined if the run is stored and claimed already. */
    private beginning?: RunBeginning,
    /** The waits that are over, by the paths of their steps. */
    private readonly ends: ReadonlyMap<string, WaitEnd> = new Map(),
  ) {
    this.results = resumed.size;
  }

  /** True: the run was to be stored, but its event has runs already. Nothing is written any more. */
  get isRefused(): boolean {
    return this.refused;
  }

  /** False: the run is new, and nothing of it is stored yet. */
  get isStored(): boolean {
    return this.beginning === undefined;
  }

  /** True: the run goes on from a wait. */
  get hasWaited(): boolean {
    return this.ends.size > 0;
  }

  /** The waits that the steps have met and that are not over. */
  get waits(): ReadonlyMap<string, WaitRequest> {
    return this.waiting;
  }

  wait(step: string, request: WaitRequest): WaitEnd | undefined {
    const end = this.ends.get(step);
    if (end === undefined) this.waiting.set(step, request);
    return end;
  }

  stored(step: string): StoredStep | undefined {
    return this.resumed.get(step);
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
    this.steps.push({ ...finished, output, ordinal: this.results++ });
    if (!this.open.has(finished.step)) return output;
    this.open.set(finished.step, 'returned');
    if ([...this.open.values()].some((state) => state !== 'returned')) await this.write();
    return output;
  }

  /** Stores a run that is new, before it has anything to write. Resolves with false if its event has runs already. */
  async begin(): Promise<boolean> {
    return (await this.write()) !== undefined;
  }

  /** Writes the end of the claim and everything not written before. Undefined if the claim is lost; then only the requests of calls are written. */
  async end(end: RunEnd): Promise<Run | undefined> {
    for (const [step, state] of this.open) if (state === 'failed') this.open.delete(step);
    return this.write(end);
  }

  private async write(end?: RunEnd): Promise<Run | undefined> {
    const turn = this.writing.then(() => this.writePending(end));
    this.writing = turn.catch(() => undefined);
    return turn;
  }

  /** A failed write is not repeated, because it may have been committed. The next holder of the claim reads what is stored. */
  private async writePending(end: RunEnd | undefined): Promise<Run | undefined> {
    const { steps, calls } = this;
    this.steps = [];
    this.calls = [];
    const returned = steps.filter(({ step }) => this.open.has(step));
    const unanswered = this.open.size - returned.length;
    const progress = { run: this.run, steps, unanswered, ...(end === undefined ? {} : { end }) };
    const written = await (this.beginning === undefined
      ? this.writer.write({ ...progress, calls })
      : this.storeFirst(progress, this.beginning));
    for (const { step } of returned) this.open.delete(step);
    return written;
  }

  private async storeFirst(progress: Omit<RunProgress, 'calls'>, beginning: RunBeginning): Promise<Run | undefined> {
    if (this.refused) return undefined;
    try {
      const stored = await this.writer.begin({ ...progress, ...beginning });
      if (stored === undefined) this.refused = true;
      else this.beginning = undefined;
      return stored;
    } catch (error) {
      if (error instanceof StorageUnavailable) this.beginning = undefined; // it may be stored
      throw error;
    }
  }
}
