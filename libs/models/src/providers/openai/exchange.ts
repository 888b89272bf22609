import type { Agent, Dispatcher } from 'undici';
import { mostErrorBytes, mostHeldBytes } from './body-limits.js';

export type ReceivedHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];

/** The part of a request that is the same for many. */
export interface PreparedHead {
  readonly method: Dispatcher.HttpMethod;
  readonly origin: string;
  readonly path: string;
  /** Names and values by turns. */
  readonly headers: string[];
}

/** An answer as it was read: at most {@link mostHeldBytes} of a success, and the start of an error. */
export interface ReceivedAnswer {
  readonly status: number;
  readonly headers: ReceivedHeaders;
  readonly bytes: Buffer;
  /** False if the body is longer, or is not read because it is compressed. Its connection is closed then. */
  readonly isWhole: boolean;
}

/**
 * Sends a request and reads its answer. It uses undici's `dispatch`: `request` would make a stream of each body, which takes as long as the rest of the
 * exchange. The signal also ends an exchange that waits for its connection.
 * @throws the reason of the signal; the error of the connection
 */
export function exchange(agent: Agent, head: PreparedHead, body: string | undefined, signal: AbortSignal): Promise<ReceivedAnswer> {
  const reader = new AnswerReader(signal);
  agent.dispatch({ origin: head.origin, path: head.path, method: head.method, headers: head.headers, body: body ?? null }, reader);
  return reader.answer;
}

/** Settles once: with the answer, with an error of the connection, or with the reason of the signal. */
class AnswerReader implements Dispatcher.DispatchHandler {
  readonly answer: Promise<ReceivedAnswer>;
  private readonly resolve: (answer: ReceivedAnswer) => void;
  private readonly reject: (reason: unknown) => void;
  private controller: Dispatcher.DispatchController | undefined;
  private status = 0;
  private headers: ReceivedHeaders = {};
  private readonly chunks: Buffer[] = [];
  private length = 0;

  constructor(private readonly signal: AbortSignal) {
    ({ promise: this.answer, resolve: this.resolve, reject: this.reject } = Promise.withResolvers<ReceivedAnswer>());
    signal.addEventListener('abort', this.abort, { once: true });
  }

  private readonly abort = (): void => {
    this.controller?.abort(this.signal.reason as Error);
    this.reject(this.signal.reason);
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.signal.aborted) controller.abort(this.signal.reason as Error);
    this.controller = controller;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: ReceivedHeaders): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    if (encodingOf(headers) !== undefined) this.end(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk);
    this.length += chunk.length;
    if (this.length > this.limit) this.end(controller);
  }

  onResponseEnd(): void {
    this.settle(this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.length), true);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.signal.removeEventListener('abort', this.abort);
    this.reject(error);
  }

  private get limit(): number {
    return this.status >= 300 ? mostErrorBytes : mostHeldBytes;
  }

  /** Ends the exchange before the body has ended. */
  private end(controller: Dispatcher.DispatchController): void {
    this.settle(Buffer.concat(this.chunks, Math.min(this.length, this.limit)), false);
    controller.abort(new Error('The body is not read further'));
  }

  private settle(bytes: Buffer, isWhole: boolean): void {
    this.signal.removeEventListener('abort', this.abort);
    this.resolve({ status: this.status, headers: this.headers, bytes, isWhole });
  }
}

/** The encoding of a body, if it has one that was not asked for. */
export function encodingOf(headers: ReceivedHeaders): string | undefined {
  const encoding = headers['content-encoding'];
  return encoding === undefined || String(encoding).toLowerCase() === 'identity' ? undefined : String(encoding);
}
