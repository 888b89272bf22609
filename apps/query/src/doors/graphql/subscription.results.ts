import { createSourceEventStream, execute } from 'graphql';
import type { ExecutionArgs, ExecutionResult } from 'graphql';

type Batches = AsyncIterableIterator<readonly unknown[]>;

/**
 * Subscribes as `subscribe` of graphql-js does, except that the source yields batches. The items of a batch are resolved at the same time, so that
 * the loaders of the context load for all of them at once. One by one, a subscriber whose fields need the database gets about as many changes
 * per second as there are round trips.
 */
export async function subscribeInBatches(args: ExecutionArgs): Promise<AsyncGenerator<ExecutionResult, undefined> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  return new Results(source as Batches, args);
}

/** Not an async generator function: its `return` would wait for the next change instead of ending the source at once. */
class Results implements AsyncGenerator<ExecutionResult, undefined> {
  private ready: ExecutionResult[] = [];

  constructor(
    private readonly source: Batches,
    private readonly args: ExecutionArgs,
  ) {}

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    while (this.ready.length === 0) {
      const { value: batch, done } = await this.source.next();
      if (done === true) return { value: undefined, done };
      this.ready = await Promise.all(batch.map(async (rootValue) => execute({ ...this.args, rootValue })));
    }
    return { value: this.ready.shift()!, done: false };
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.ready = [];
    await this.source.return?.();
    return { value: undefined, done: true };
  }

  async throw(error: unknown): Promise<never> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
