import type { Json } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import type { FinishedStep, StepJournal } from '../flows/flow.runner.js';
import { RunLeaseLost } from './run.errors.js';
import type { RunEnd, RunProgress, RunProgressWriter } from './run.progress.store.js';
import type { FinishedRun, RunningRun } from './run.store.js';

/**
 * What one claim's holder has found out about its run and not written yet. Written is: what a model is about to be asked about, before it is asked; an
 * answer, before anything else of the run has to wait for a model; a failed call; and everything, when the run ends. So a step that computes is stored
 * with what comes of it, and one that was paid for is never waited on.
 */
export class RunJournal implements StepJournal {
  private steps: FinishedStep[] = [];
  private attempts: RunProgress['attempts'][number][] = [];
  /** Steps that asked a model and whose answer is not written, with how far that got. */
  private readonly questions = new Map<string, 'asked' | 'failed' | 'answered'>();
  /** One write of a run at a time. */
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly run: RunningRun,
    private readonly outputs: ReadonlyMap<string, Json>,
    private readonly writer: RunProgressWriter,
  ) {}

  stored(step: string): Json | undefined {
    return this.outputs.get(step);
  }

  /** @throws RunLeaseLost where another process has the run by now, so that it does not ask what that one asks */
  async beforeAsking(step: string): Promise<void> {
    this.questions.set(step, 'asked');
    try {
      if ((await this.write()) === undefined) throw new RunLeaseLost(this.run.id);
    } catch (error) {
      this.questions.delete(step);
      throw error;
    }
  }

  async onModelAttempt(step: string, attempt: ModelAttempt): Promise<void> {
    this.attempts.push({ step, attempt });
    if (attempt.outcome === 'succeeded') return; // written with its step
    this.questions.set(step, 'failed');
    await this.write();
  }

  /** Returns the output as it reads once it is stored, so that a run which goes on sees what one that is resumed would see. */
  async keep(finished: FinishedStep): Promise<Json> {
    const output = JSON.parse(JSON.stringify(finished.output)) as Json;
    this.steps.push({ ...finished, output });
    if (!this.questions.has(finished.step)) return output;
    this.questions.set(finished.step, 'answered');
    if ([...this.questions.values()].some((state) => state !== 'answered')) await this.write();
    return output;
  }

  /** Writes the end of the claim with all that was not written before. Undefined where the claim is no longer ours; only calls are written then. */
  async end(end: RunEnd): Promise<RunningRun | FinishedRun | undefined> {
    for (const [step, state] of this.questions) if (state === 'failed') this.questions.delete(step);
    return this.write(end);
  }

  private async write(end?: RunEnd): Promise<RunningRun | FinishedRun | undefined> {
    const turn = this.writing.then(() => this.writePending(end));
    this.writing = turn.catch(() => undefined);
    return turn;
  }

  /** What could not be written is not tried again: it may have been. The claim's next holder finds out. */
  private async writePending(end: RunEnd | undefined): Promise<RunningRun | FinishedRun | undefined> {
    const { steps, attempts } = this;
    this.steps = [];
    this.attempts = [];
    const answered = steps.filter(({ step }) => this.questions.has(step));
    const unanswered = this.questions.size - answered.length;
    const written = await this.writer.add({ run: this.run, steps, attempts, unanswered, ...(end === undefined ? {} : { end }) });
    for (const { step } of answered) this.questions.delete(step);
    return written;
  }
}
