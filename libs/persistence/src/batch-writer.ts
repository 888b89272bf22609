import { Linger, startTimer } from '#libs/time';
import { StorageUnavailable } from './storage.errors.js';

export interface BatchWriterOptions<Input, Output> {
  /** The largest number of inputs in one write. */
  maxBatch: number;
  /** How long the first input of a batch waits for further ones, while they come often; else, and by default: until the current turn of the event loop is over. */
  lingerMs?: number;
  /** Writes all inputs or none. Returns one output per input, in the order of the inputs; nothing if `Output` is void. */
  write: (inputs: Input[]) => Promise<[Output] extends [void] ? void : Output[]>;
}

interface PendingInput<Input, Output> {
  readonly input: Input;
  resolve(output: Output): void;
  reject(reason: unknown): void;
}

/** Combines the inputs of many callers into one write. Only one write is under way at a time, so batches grow with the load. */
export class BatchWriter<Input, Output> {
  private readonly pending: PendingInput<Input, Output>[] = [];
  private isWriting = false;
  private isScheduled = false;

  private readonly linger: Linger;

  constructor(private readonly options: BatchWriterOptions<Input, Output>) {
    this.linger = new Linger(options.lingerMs ?? 0);
  }

  /** Resolves with the output when the input is written. An input that cannot be written fails alone. */
  add(input: Input): Promise<Output> {
    return new Promise((resolve, reject) => {
      this.pending.push({ input, resolve, reject });
      this.linger.arrived();
      if (this.pending.length >= this.options.maxBatch) void this.flush();
      else this.schedule();
    });
  }

  private schedule(): void {
    if (this.isScheduled || this.isWriting) return;
    this.isScheduled = true;
    const { waitMs } = this.linger;
    if (waitMs > 0) startTimer(() => void this.flush(), waitMs);
    else setImmediate(() => void this.flush());
  }

  private async flush(): Promise<void> {
    this.isScheduled = false;
    if (this.isWriting) return; // the write that is under way continues with the inputs added meanwhile
    this.isWriting = true;
    while (this.pending.length > 0) await this.write(this.pending.splice(0, this.options.maxBatch));
    this.isWriting = false;
  }

  /** A failure that is not the connection's is caused by one of the inputs: halving the batch finds it, and the others are written without it. */
  private async write(batch: readonly PendingInput<Input, Output>[]): Promise<void> {
    try {
      const outputs = (await this.options.write(batch.map(({ input }) => input))) as Output[] | undefined;
      if (outputs !== undefined && outputs.length !== batch.length)
        throw new Error(`A write of ${batch.length} inputs gave ${outputs.length} outputs`);
      for (const [at, input] of batch.entries()) input.resolve(outputs?.[at] as Output);
    } catch (error) {
      if (batch.length === 1 || error instanceof StorageUnavailable) {
        for (const input of batch) input.reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.write(batch.slice(0, half));
      await this.write(batch.slice(half));
    }
  }
}
