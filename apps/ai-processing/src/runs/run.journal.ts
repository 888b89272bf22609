import { callKey } from '#libs/contracts';
import { RunTooLarge } from '#libs/flows';
import type {
  BegunOperation,
  CallRecord,
  FailedStep,
  FinishedStep,
  ReviewEnd,
  ReviewRequest,
  StepJournal,
  StoredStep,
  WaitEnd,
  WaitRequest,
} from '#libs/flows';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { StorageUnavailable } from '#libs/persistence';
import { wallTime } from '#libs/time';
import { noEndedWaits } from '../waits/run-wait.table.js';
import type { EndedWaits } from '../waits/run-wait.table.js';
import { RunLeaseLost } from './run.errors.js';
import type { FirstProgress, KeptStep, RunEnd, RunProgress, RunProgressWriter } from './run.progress.store.js';
import type { Run, RunningRun } from './run.store.js';
import type { StoredSteps } from './step-result.store.js';

/** The start and the trace of a new run, stored with its first write. */
export type RunBeginning = Pick<FirstProgress, 'startedAt' | 'traceId'>;

/** The most results of a run. */
const mostResults = 10_000;
/** The most characters of all results of a run, as JSON. */
const mostCharacters = 64 * 1_048_576;
/** The most characters of the questions that are stored together, as JSON. */
const mostAsked = 16 * 1_048_576;
/** The longest path of a result, in bytes. It is a part of keys of tables. */
const longestPath = 1_000;
/** The most that waits for a write, so that neither a crash costs more nor a statement becomes larger. */
const mostUnwritten = { results: 500, characters: 4 * 1_048_576 };

/**
 * The progress of a claimed run that is not written yet. A run that is new is stored by its first write. It is written at five moments: before a call,
 * so that the call is noted; after a failed request of a call; after the last open call returned, unless the run ends at once; when many results wait;
 * and when the run ends. So the outputs of steps that only compute need no write of their own, and the result of a call never waits for another call.
 */
export class RunJournal implements StepJournal {
  private steps: KeptStep[] = [];
  /** Characters of {@link steps}. */
  private unwritten = 0;
  /** Results of the run so far, stored or not. */
  private readonly results: Map<string, StoredStep>;
  private characters: number;
  /** The number of the last request of each step that called out under this claim. A step that is tried again goes on counting. */
  private readonly requests = new Map<string, { before: number; last: number }>();
  private failed: readonly FailedStep[] = [];
  private begun: NonNullable<RunProgress['begun']>[number][] = [];
  private calls: RunProgress['calls'][number][] = [];
  /** By steps: when the first operation began that took effect, or may have. */
  private readonly reached: Map<string, Date>;
  /** Steps with a noted call whose output is not written, by the state of the call. */
  private readonly open = new Map<string, 'noted' | 'failed' | 'returned'>();
  private refused = false;
  private readonly waiting = new Map<string, WaitRequest>();
  private readonly asked = new Map<string, ReviewRequest>();
  /** Characters of {@link asked}, as JSON. */
  private askedCharacters = 0;
  /** The last write; a run has one write at a time. */
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly run: RunningRun,
    resumed: StoredSteps,
    private readonly writer: Pick<RunProgressWriter, 'begin' | 'write' | 'leaseMs'>,
    /** Undefined if the run is stored and claimed already. */
    private beginning?: RunBeginning,
    private readonly ends: EndedWaits = noEndedWaits,
    /** Reads the events that may end a wait. Default: there are none. */
    readonly arrivals: StepJournal['arrivals'] = () => Promise.resolve([]),
  ) {
    this.results = new Map(resumed.steps);
    this.reached = new Map(resumed.reachedAt);
    this.characters = [...resumed.steps.values()].reduce((total, { characters }) => total + characters, 0);
  }

  /** True: the run was to be stored, but its event has runs already. Nothing is written any more. */
  get isRefused(): boolean {
    return this.refused;
  }

  /** False: the run is new, and nothing of it is stored yet. */
  get isStored(): boolean {
    return this.beginning === undefined;
  }

  /** True: a step of the run has begun to wait, under this claim or an earlier one. */
  get hasWaited(): boolean {
    return this.hasAsked || this.hasResult(':due');
  }

  /** True: a step of the run has asked a person, under this claim or an earlier one. */
  private get hasAsked(): boolean {
    return this.hasResult(':asked');
  }

  private hasResult(ending: string): boolean {
    return [...this.results.keys()].some((step) => step.endsWith(ending));
  }

  /** The waits that the steps have met and that are not over. */
  get waits(): ReadonlyMap<string, WaitRequest> {
    return this.waiting;
  }

  /** The questions that the steps have asked and that are not decided. */
  get questions(): ReadonlyMap<string, ReviewRequest> {
    return this.asked;
  }

  reviewed(step: string): ReviewEnd | 'open' | undefined {
    return this.ends.reviews.get(step);
  }

  ask(step: string, request: ReviewRequest): void {
    const { proposal, default: otherwise, schema, context } = request;
    this.askedCharacters += JSON.stringify([proposal, otherwise, schema, context]).length;
    if (this.askedCharacters > mostAsked)
      throw new RunTooLarge(`the reviews that it asks for at the same time have more than ${mostAsked} characters, which are the most`);
    this.asked.set(step, request);
  }

  wait(step: string, request: WaitRequest): WaitEnd | undefined {
    const end = this.ends.waits.get(step);
    if (end === undefined) this.waiting.set(step, request);
    return end;
  }

  stored(step: string): StoredStep | undefined {
    return this.results.get(step);
  }

  /**
   * @throws RunLeaseLost if another process has claimed the run, so that this one does not repeat that one's call, or may have by now: a process that stood
   *   still for longer than its claim must not call, although Postgres said that it may
   */
  async noteCall(step: string, begun?: BegunOperation): Promise<void> {
    const last = this.requests.get(step)?.last ?? 0;
    this.requests.set(step, { before: last, last });
    if (begun !== undefined) this.begun.push({ step, number: last + 1, ...begun });
    this.open.set(step, 'noted');
    const askedAtMs = performance.now();
    try {
      const held = await this.write();
      if (held === undefined || performance.now() - askedAtMs >= this.writer.leaseMs) throw new RunLeaseLost(this.run.id);
    } catch (error) {
      this.open.delete(step);
      throw error;
    }
  }

  effectKey(step: string): string {
    return callKey(this.run, step);
  }

  reachedAt(step: string): Date | undefined {
    return this.reached.get(step);
  }

  failCall(step: string): void {
    this.open.set(step, 'failed');
  }

  async recordCall(step: string, request: CallRecord): Promise<void> {
    const counted = this.requests.get(step)!;
    const number = counted.before + request.number;
    counted.last = Math.max(counted.last, number);
    this.calls.push({ step, request: { ...request, number } });
    if (request.kind === 'operation' && request.outcome !== 'failed' && !this.reached.has(step)) this.reached.set(step, request.startedAt);
    // A success is written with its step, and a model that was passed over with what comes of the others.
    if (request.outcome === 'succeeded' || request.outcome === 'passedOver') return;
    this.open.set(step, 'failed');
    await this.write();
  }

  /**
   * Returns the output as it reads once it is stored, so that a run which goes on sees the same as one that is resumed.
   * @throws RunTooLarge
   */
  async keep(finished: FinishedStep): Promise<Json> {
    const text = JSON.stringify(finished.output);
    this.admit(finished.step, text.length);
    const output = parseStoredJson(text);
    this.add({ ...finished, output });
    this.unwritten += text.length;
    const isLarge = this.steps.length >= mostUnwritten.results || this.unwritten >= mostUnwritten.characters;
    const hasReturned = this.open.has(finished.step);
    if (hasReturned) this.open.set(finished.step, 'returned');
    if (isLarge || (hasReturned && [...this.open.values()].some((state) => state !== 'returned'))) await this.write();
    return output;
  }

  private add(finished: FinishedStep): void {
    this.steps.push({ ...finished, ordinal: this.results.size });
    const { step, state, output, failure } = finished;
    this.results.set(step, { state, output, ...(failure && { failure }) });
  }

  private admit(step: string, characters: number): void {
    if (this.results.size >= mostResults) throw new RunTooLarge(`its steps have ${mostResults} results, which are the most`);
    if (step.length * 4 > longestPath && Buffer.byteLength(step) > longestPath)
      throw new RunTooLarge(`the path of a result has more than ${longestPath} bytes: ${step.slice(0, 100)}…; shorten the keys of items`);
    this.characters += characters;
    if (this.characters > mostCharacters)
      throw new RunTooLarge(`the outputs of its steps have more than ${mostCharacters} characters, which are the most`);
  }

  /** The steps that a failure of the run comes from. They are stored with the end of a run that is given up. */
  noteFailed(failed: readonly FailedStep[]): void {
    this.failed = failed;
  }

  /** Stores a run that is new, before it has anything to write. Resolves with false if its event has runs already. */
  async begin(): Promise<boolean> {
    return (await this.write()) !== undefined;
  }

  /** Writes the end of the claim and everything not written before. Undefined if the claim is lost; then only the requests of calls are written. */
  async end(end: RunEnd): Promise<Run | undefined> {
    for (const [step, state] of this.open) if (state === 'failed') this.open.delete(step);
    if (end.state === 'failed' || (end.state === 'completed' && end.defaultReason !== undefined)) {
      const at = wallTime();
      const unstored = this.failed.filter(({ step }) => !this.results.has(step));
      for (const failed of unstored) this.add({ ...failed, state: 'failed', output: null, startedAt: at, finishedAt: at });
    }
    return this.write(end);
  }

  private async write(end?: RunEnd): Promise<Run | undefined> {
    const turn = this.writing.then(() => this.writePending(end));
    this.writing = turn.catch(() => undefined);
    return turn;
  }

  /** A failed write is not repeated, because it may have been committed. The next holder of the claim reads what is stored. */
  private async writePending(end: RunEnd | undefined): Promise<Run | undefined> {
    const { steps, calls, begun } = this;
    this.begun = [];
    this.steps = [];
    this.unwritten = 0;
    this.calls = [];
    const returned = steps.filter(({ step }) => this.open.has(step));
    const unanswered = this.open.size - returned.length;
    const progress = { run: this.run, steps, begun, unanswered, ...(end === undefined ? {} : { end, hasAsked: this.hasAsked }) };
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
