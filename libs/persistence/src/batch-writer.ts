import { StorageUnavailable } from './storage.errors.js';

export interface BatchWriterOptions<Input, Output> {
  /** Inputs of one write at most. */
  maxBatch: number;
  /** How long the first input of a batch waits for company; default 0: until the current turn of the event loop is over. */
  lingerMs?: number;
  /** Writes them all or none, and answers in their order. */
  write: (inputs: Input[]) => Promise<Output[]>;
}

interface Waiting<Input, Output> {
  readonly input: Input;
  resolve(output: Output): void;
  reject(reason: unknown): void;
}

/**
 * Makes one statement of what many callers ask for one by one. One write is under way at a time, so batches grow with the load by themselves.
 */
export class BatchWriter<Input, Output> {
  private readonly waiting: Waiting<Input, Output>[] = [];
  private isWriting = false;
  private isScheduled = false;

  constructor(private readonly options: BatchWriterOptions<Input, Output>) {}

  /** Resolves when the input is written. An input that cannot be written fails alone. */
  add(input: Input): Promise<Output> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ input, resolve, reject });
      if (this.waiting.length >= this.options.maxBatch) void this.flush();
      else this.schedule();
    });
  }

  private schedule(): void {
    if (this.isScheduled || this.isWriting) return;
    this.isScheduled = true;
    const { lingerMs = 0 } = this.options;
    if (lingerMs > 0) setTimeout(() => void this.flush(), lingerMs);
    else setImmediate(() => void this.flush());
  }

  private async flush(): Promise<void> {
    this.isScheduled = false;
    if (this.isWriting) return; // the write under way goes on with what came meanwhile
    this.isWriting = true;
    while (this.waiting.length > 0) await this.write(this.waiting.splice(0, this.options.maxBatch));
    this.isWriting = false;
  }

  /** A failure that is not the connection's is that of some input: halving finds it, and its neighbours are written without it. */
  private async write(batch: readonly Waiting<Input, Output>[]): Promise<void> {
    try {
      const outputs = await this.options.write(batch.map(({ input }) => input));
      if (outputs.length !== batch.length) throw new Error(`A write of ${batch.length} inputs gave ${outputs.length} outputs`);
      for (const [at, waiting] of batch.entries()) waiting.resolve(outputs[at]!);
    } catch (error) {
      if (batch.length === 1 || error instanceof StorageUnavailable) {
        for (const waiting of batch) waiting.reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.write(batch.slice(0, half));
      await this.write(batch.slice(half));
    }
  }
}
