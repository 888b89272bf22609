import { OpenAI } from 'openai';
import type { FailureCode, Json } from '#libs/contracts';
import { delayBefore, sleep } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';
import { inSpan } from '#libs/tracing';
import { chatCompletions } from './chat-completions.js';
import { Deadline } from './deadline.js';
import { callSpan, countCall, describeAnswer } from './gen-ai.js';
import type { Answer, ModelApi, Question, Usage } from './model-api.js';
import { ModelLimited, ModelOutputInvalid, ModelRefused, ModelUnavailable, isModelFailure } from './model.errors.js';
import type { ModelFailure } from './model.errors.js';
import { acceptOutput } from './output-gate.js';
import { CompiledSchemas } from './output-schema.js';
import type { OutputSchema } from './output-schema.js';
import { promptFor, repairPrompt } from './prompt.js';
import { failureOfCall } from './provider-failure.js';
import { responses } from './responses.js';
import { Transport } from './transport.js';

/** 0.25 s to 8 s with full jitter, four calls in all: a model call is dear, and the flow retries the step after that. */
export const modelRetry: RetryPolicy = Object.freeze({ retries: 3, initialDelayMs: 250, factor: 2, maxDelayMs: 8_000, jitter: 1 });
/** For a 429 that does not say how long. It uses up no retry: only the deadline ends it. */
const unstatedLimit: RetryPolicy = Object.freeze({ retries: Infinity, initialDelayMs: 1_000, factor: 2, maxDelayMs: 30_000, jitter: 0.5 });
const repairs = 2;
const outputTokensIfUnknown = 1_024;
const outputTokensLimit = 128_000;

export interface ModelGatewayOptions {
  /** Up to and including the version, such as `https://api.openai.com/v1`. */
  baseUrl: string;
  apiKey: string;
  /** Which of the two APIs the provider speaks. Default: `chat`. */
  api?: 'chat' | 'responses';
  /** For failures that pass. Default: {@link modelRetry}. */
  retry?: RetryPolicy;
  clock?: Clock;
}

export interface Clock {
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const systemClock: Clock = { now: () => Date.now(), sleep };

export interface InferenceRequest {
  model: string;
  /** Ours: the system message. */
  instructions: string;
  /** From outside: JSON or text. Never stands in the system message. */
  input: unknown;
  /** JSON Schema, draft 2020-12. */
  outputSchema: object;
  /** What the schema describes, for the model. */
  schemaName: string;
  temperature?: number | undefined;
  maxOutputTokens?: number | undefined;
  /** Limit of the whole inference: calls, waits and repairs. */
  timeoutMs: number;
  /** Ends the inference with its own reason. */
  signal?: AbortSignal | undefined;
  /** Told of every finished call, and waited for, before anything follows from the call. */
  onAttempt(attempt: ModelAttempt): Promise<void>;
}

/** One call to the provider, for the record. */
export interface ModelAttempt {
  /** From 1, within one inference. */
  readonly number: number;
  readonly model: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly outcome: 'succeeded' | 'failed';
  readonly errorCode: FailureCode | null;
  readonly errorMessage: string | null;
  readonly responseModel: string | null;
  readonly providerRequestId: string | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
}

export interface Inference {
  /** Fits the schema. */
  readonly output: Json;
  readonly responseModel: string;
  /** Of the call that succeeded. */
  readonly usage: Usage | undefined;
  /** Calls made, this one included. */
  readonly attempts: number;
  readonly providerRequestId: string | undefined;
}

/** What became of one call. */
type Result = { readonly output: Json; readonly answer: Answer } | { readonly failure: ModelFailure; readonly answer: Answer | undefined };

/** What an inference has used up so far. */
interface Spent {
  failures: number;
  limits: number;
  repairs: number;
  lengthened: boolean;
}

/**
 * Asks a model until its answer fits the schema, the request is refused, or the deadline passes. It owns the only retry loop: the SDK's own would sleep
 * beyond any deadline and tell nobody.
 */
export class ModelGateway {
  private readonly transport = new Transport();
  private readonly api: ModelApi;
  private readonly server: URL;
  private readonly schemas = new CompiledSchemas();
  private readonly retry: RetryPolicy;
  private readonly clock: Clock;

  constructor({ baseUrl, apiKey, api = 'chat', retry = modelRetry, clock = systemClock }: ModelGatewayOptions) {
    const client = new OpenAI({
      baseURL: baseUrl,
      apiKey,
      maxRetries: 0,
      organization: null,
      project: null,
      logLevel: 'off',
      fetch: this.transport.fetch,
    });
    this.api = api === 'chat' ? chatCompletions(client) : responses(client);
    this.server = new URL(baseUrl);
    this.retry = retry;
    this.clock = clock;
  }

  /**
   * @throws ModelUnavailable, ModelLimited, ModelCredentialRefused, ModelRefused, ModelOutputInvalid; the signal's reason where `signal` ended it
   */
  async infer(request: InferenceRequest): Promise<Inference> {
    using deadline = new Deadline(request.timeoutMs, request.signal, this.clock.now);
    const schema = this.schemas.of(request.outputSchema);
    const spent: Spent = { failures: 0, limits: 0, repairs: 0, lengthened: false };
    let question = firstQuestion(request, schema);
    for (let number = 1; ; number += 1) {
      const result = await this.attempt(number, question, schema, deadline, request);
      if ('output' in result) return inference(result.output, result.answer, number);
      question = await this.questionAfter(question, result.failure, result.answer, spent, deadline);
    }
  }

  /** Waits for calls under way, then closes the connections. */
  async close(): Promise<void> {
    await this.transport.close();
  }

  /** One call, judged, counted and reported. */
  private async attempt(
    number: number,
    question: Question,
    schema: OutputSchema,
    deadline: Deadline,
    request: InferenceRequest,
  ): Promise<Result> {
    const startedAt = this.clock.now();
    const result = await this.call(question, schema, deadline);
    const finishedAt = this.clock.now();
    const failure = 'failure' in result ? result.failure : undefined;
    countCall(question.model, this.api, failure?.code ?? 'ok', finishedAt - startedAt, result.answer);
    await request.onAttempt({
      number,
      model: question.model,
      startedAt: new Date(startedAt),
      finishedAt: new Date(finishedAt),
      outcome: failure === undefined ? 'succeeded' : 'failed',
      errorCode: failure?.code ?? null,
      errorMessage: failure?.message ?? null,
      responseModel: result.answer?.responseModel ?? null,
      providerRequestId: result.answer?.providerRequestId ?? requestIdOf(failure) ?? null,
      inputTokens: result.answer?.usage?.inputTokens ?? null,
      outputTokens: result.answer?.usage?.outputTokens ?? null,
    });
    return result;
  }

  private async call(question: Question, schema: OutputSchema, deadline: Deadline): Promise<Result> {
    const { name, ...options } = callSpan(this.api, question, this.server);
    let answer: Answer | undefined;
    try {
      return await inSpan(name, options, async (span) => {
        answer = await this.ask(question, deadline);
        describeAnswer(span, answer);
        return { output: judge(answer, schema), answer };
      });
    } catch (error) {
      if (isModelFailure(error)) return { failure: error, answer };
      throw error;
    }
  }

  private async ask(question: Question, deadline: Deadline): Promise<Answer> {
    try {
      // The SDK insists on a time limit of its own; the signal is always earlier.
      return await this.api.ask(question, { signal: deadline.signal, timeout: deadline.timeoutMs + 60_000 });
    } catch (error) {
      if (deadline.passed) throw new ModelUnavailable(`The model did not answer within ${deadline.timeoutMs} ms`, { cause: error });
      deadline.signal.throwIfAborted();
      throw isModelFailure(error) ? error : failureOfCall(error, this.clock.now());
    }
  }

  /**
   * What to ask after a failure, once it is time to.
   * @throws the failure where nothing more can be done about it
   */
  private async questionAfter(
    question: Question,
    failure: ModelFailure,
    answer: Answer | undefined,
    spent: Spent,
    deadline: Deadline,
  ): Promise<Question> {
    if (failure instanceof ModelOutputInvalid && answer !== undefined) return betterQuestion(question, failure, answer, spent);
    await this.waitOut(failure, spent, deadline);
    return question;
  }

  private async waitOut(failure: ModelFailure, spent: Spent, deadline: Deadline): Promise<void> {
    const delayMs = this.delayAfter(failure, spent);
    // Not by waiting until the deadline: the caller learns at once, with the time the provider asked for.
    if (delayMs === undefined || delayMs >= deadline.remainingMs) throw failure;
    try {
      await this.clock.sleep(delayMs, deadline.signal);
    } catch (error) {
      throw deadline.passed ? failure : error;
    }
  }

  private delayAfter(failure: ModelFailure, spent: Spent): number | undefined {
    const { retryAfterMs } = failure;
    if (failure instanceof ModelLimited) {
      spent.limits += 1;
      return delayBefore(unstatedLimit, retryAfterMs === undefined ? spent.limits : 1, { retryAfterMs });
    }
    if (!(failure instanceof ModelUnavailable) || spent.failures >= this.retry.retries) return undefined;
    spent.failures += 1;
    return delayBefore(this.retry, spent.failures, { retryAfterMs });
  }
}

function firstQuestion(request: InferenceRequest, { schema, strict }: OutputSchema): Question {
  return {
    model: request.model,
    turns: promptFor(request.instructions, request.input),
    schema: { name: request.schemaName.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'output', schema, strict },
    temperature: request.temperature,
    maxOutputTokens: request.maxOutputTokens,
  };
}

/** @throws ModelRefused, ModelOutputInvalid */
function judge(answer: Answer, schema: OutputSchema): Json {
  if (answer.finish === 'refused') throw new ModelRefused(`The model refused: ${answer.refusal?.slice(0, 500)}`);
  if (answer.finish === 'truncated') throw new ModelOutputInvalid(['the answer was cut off at the limit of output tokens']);
  return acceptOutput(answer.text, schema);
}

/** @throws the failure where repairs are spent */
function betterQuestion(question: Question, failure: ModelOutputInvalid, answer: Answer, spent: Spent): Question {
  if (answer.finish === 'truncated') {
    if (spent.lengthened) throw failure;
    spent.lengthened = true;
    const used = question.maxOutputTokens ?? answer.usage?.outputTokens ?? outputTokensIfUnknown;
    return { ...question, maxOutputTokens: Math.min(outputTokensLimit, used * 4) };
  }
  if (spent.repairs >= repairs) throw failure;
  spent.repairs += 1;
  return { ...question, turns: repairPrompt(question.turns, answer.text, failure.problems) };
}

function inference(output: Json, answer: Answer, attempts: number): Inference {
  return { output, responseModel: answer.responseModel, usage: answer.usage, attempts, providerRequestId: answer.providerRequestId };
}

function requestIdOf(failure: ModelFailure | undefined): string | undefined {
  const cause = failure?.cause;
  return cause instanceof OpenAI.APIError ? (cause.requestID ?? undefined) : undefined;
}
