import { failureReason } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';
import type { Json } from '#libs/json';
import { delayBefore } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';
import type { CompiledSchema } from '#libs/schemas';
import { Stopwatch, sleep } from '#libs/time';
import { failSpan, inSpan, startSpan } from '#libs/tracing';
import { Deadline } from './deadline.js';
import { callSpan, countCall, countRefusal, describeResponse } from './gen-ai.js';
import type { ModelProvider, ModelRequest, ModelResponse, Usage } from './model-provider.js';
import {
  ModelAnswerTooLarge,
  ModelCredentialRefused,
  ModelFailure,
  ModelKeyRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
import { OutputGate } from './output-gate.js';
import type { OutputChecks } from './output-gate.js';
import { fitsStrictSubset } from './strict-subset.js';
import { answerText, promptFor, repairPrompt } from '#libs/prompts';
import type { PromptOptions, Turn } from '#libs/prompts';
import { ProviderState } from './provider-state.js';

/** Four calls in all, 0.25 s to 8 s apart, with full jitter. Model calls are expensive, and the flow retries the step afterwards. */
export const modelRetry: RetryPolicy = Object.freeze({ retries: 3, initialDelayMs: 250, factor: 2, maxDelayMs: 8_000, jitter: 1 });
/** Waits after a 429 without a stated wait. They use up no retry: only the deadline ends them. */
const unstatedLimit: RetryPolicy = Object.freeze({ retries: Infinity, initialDelayMs: 1_000, factor: 2, maxDelayMs: 30_000, jitter: 0.5 });
const repairs = 2;
const outputTokensIfUnknown = 1_024;
const outputTokensLimit = 128_000;

export interface ModelGatewayOptions {
  /** The gateway closes it. */
  provider: ModelProvider;
  /** For transient failures. Default: {@link modelRetry}. */
  retry?: RetryPolicy;
  clock?: Clock;
}

export interface Clock {
  /** In ms. It never goes back. */
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const systemClock: Clock = { now: () => performance.now(), sleep };
const probeTimeoutMs = 10_000;

export interface InferenceRequest {
  model: string;
  /** The system message, written by the tenant. */
  instructions: string;
  /** JSON or text that comes from outside. It is never put into the system message. */
  input: unknown;
  outputSchema: CompiledSchema;
  /** Further checks of the output. Default: links and markup only. */
  checks?: OutputChecks | undefined;
  /** How the input is written. Default: that of {@link promptFor}. */
  prompt?: PromptOptions | undefined;
  /** Tells the model the subject of the schema. */
  schemaName: string;
  temperature?: number | undefined;
  maxOutputTokens?: number | undefined;
  /** Limit of the whole inference in ms: calls, waits and repairs. */
  timeoutMs: number;
  /** Ends the inference with its own reason. */
  signal?: AbortSignal | undefined;
  /** Called after every call. The gateway waits for it before it uses the result. */
  onAttempt(attempt: ModelAttempt): Promise<void>;
}

/** The record of one call to the provider. */
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
  /** Has passed all gates. */
  readonly output: Json;
  readonly responseModel: string;
  /** Tokens of the call that succeeded. */
  readonly usage: Usage | undefined;
  /** Calls made, this one included. */
  readonly attempts: number;
  readonly providerRequestId: string | undefined;
}

/** A part of a streamed inference: any number of deltas, then one `end`. */
export type InferenceEvent =
  /** Text for display only: nothing has been checked yet. */
  { readonly type: 'delta'; readonly text: string } | { readonly type: 'end'; readonly inference: Inference };

type CallResult =
  | { readonly output: Json; readonly response: ModelResponse }
  | { readonly failure: ModelFailure; readonly response: ModelResponse | undefined }
  /** The response came, and reading it failed with an unexpected error. It is recorded, because it was paid for. */
  | { readonly defect: unknown; readonly response: ModelResponse };

/** The retries and repairs that an inference has used up. */
interface SpentBudget {
  failures: number;
  limits: number;
  repairs: number;
  lengthened: boolean;
}

/**
 * Calls a model until its output passes the gates, the request is refused, or the deadline passes. It owns the only retry loop: a provider makes one
 * call at a time, so no wait goes beyond the deadline and every call is recorded.
 */
export class ModelGateway {
  private readonly provider: ModelProvider;
  private readonly retry: RetryPolicy;
  private readonly clock: Clock;
  private readonly state: ProviderState;

  constructor({ provider, retry = modelRetry, clock = systemClock }: ModelGatewayOptions) {
    this.provider = provider;
    this.retry = retry;
    this.clock = clock;
    this.state = new ProviderState(clock.now);
  }

  /**
   * Finds out whether there is a model API at the provider's address, and whether it takes the key. `infer` and `stream` do the same with each call.
   * @throws ModelMisconfigured, ModelKeyRefused, ModelUnavailable
   */
  async check(signal?: AbortSignal): Promise<void> {
    using deadline = new Deadline(probeTimeoutMs, signal, this.clock.now);
    const failure = await this.probe(deadline);
    this.state.note(failure);
    if (failure !== undefined) throw failure;
  }

  /** The address that requests are sent to, without credentials. */
  get address(): string {
    return this.provider.server.href;
  }

  /**
   * Checks the provider, and asks it for the names of its models. Empty if it does not list them: a provider that takes probes may refuse this key the list,
   * or have something else at its address.
   * @throws ModelMisconfigured, ModelKeyRefused, ModelUnavailable, ModelLimited
   */
  async models(signal?: AbortSignal): Promise<readonly string[]> {
    await this.check(signal);
    using deadline = new Deadline(probeTimeoutMs, signal, this.clock.now);
    try {
      return await this.provider.models(callOptions(deadline));
    } catch (error) {
      const failure = failureWithin(deadline, error);
      if (failure instanceof ModelUnavailable || failure instanceof ModelLimited) throw failure;
      return [];
    }
  }

  /** Checks a provider that takes no request again if that is due. @throws ModelMisconfigured or ModelKeyRefused as long as it does not */
  async ready(): Promise<void> {
    if (this.state.failure === undefined) return;
    if (this.state.takeReason() === undefined) await this.check().catch(() => undefined);
    if (this.state.failure !== undefined) throw this.state.failure;
  }

  /** @throws ModelFailure; InputTooLong; the signal's reason if `signal` ended the inference */
  async infer(request: InferenceRequest): Promise<Inference> {
    using deadline = new Deadline(request.timeoutMs, request.signal, this.clock.now);
    const spent: SpentBudget = { failures: 0, limits: 0, repairs: 0, lengthened: false };
    const gate = new OutputGate(request);
    let modelRequest = firstRequest(request);
    for (let number = 1; ; number += 1) {
      const watch = this.startCall();
      const result = await this.call(modelRequest, gate, deadline);
      await this.report(number, modelRequest.model, watch, result, request);
      if ('output' in result) return inference(result.output, result.response, number);
      if ('defect' in result) throw result.defect;
      modelRequest = await this.requestAfter(modelRequest, result.failure, result.response, spent, deadline);
    }
  }

  /**
   * Makes one call and passes its text on as it arrives. There is no retry and no repair, because the consumer has seen the text. The output is checked
   * when it is complete; only the `end` may be acted on. A consumer that stops iterating ends the call, which then is no attempt.
   * @throws as {@link infer}, also after some deltas
   */
  async *stream(request: InferenceRequest): AsyncGenerator<InferenceEvent> {
    using deadline = new Deadline(request.timeoutMs, request.signal, this.clock.now);
    const modelRequest = firstRequest(request);
    const watch = this.startCall();
    const { name, ...options } = callSpan(this.provider, modelRequest);
    const span = startSpan(name, options);
    let response: ModelResponse | undefined;
    let result: CallResult;
    try {
      for await (const event of this.provider.stream(modelRequest, callOptions(deadline))) {
        if (event.type === 'delta') yield { ...event, text: answerText(modelRequest.turns, event.text) };
        else response = event.response;
      }
      if (response === undefined) throw new Error(`The provider ${this.provider.name} ended a stream without its end`);
      describeResponse(span, response);
      result = { output: await outputOf(modelRequest.turns, response, new OutputGate(request)), response };
    } catch (error) {
      failSpan(span, error);
      result = { failure: await this.settled(failureWithin(deadline, error), deadline), response };
    } finally {
      span.end();
    }
    await this.report(1, modelRequest.model, watch, result, request);
    if ('failure' in result) throw result.failure;
    if ('defect' in result) throw result.defect;
    yield { type: 'end', inference: inference(result.output, result.response, 1) };
  }

  /** Waits for calls under way, then closes the connections. */
  async close(): Promise<void> {
    await this.provider.close();
  }

  /** @throws ModelMisconfigured or ModelKeyRefused while there is no use in a call */
  private startCall(): Stopwatch {
    const reason = this.state.takeReason();
    if (reason !== undefined) throw reason;
    return new Stopwatch(this.clock.now);
  }

  private async report(number: number, model: string, watch: Stopwatch, result: CallResult, request: InferenceRequest): Promise<void> {
    const { startedAt, finishedAt, durationMs } = watch.stop();
    const { response } = result;
    const failure = 'failure' in result ? result.failure : 'defect' in result ? failureReason(result.defect) : undefined;
    this.state.note('failure' in result ? result.failure : undefined);
    countCall(model, this.provider, failure?.code ?? 'ok', durationMs, response);
    if (failure instanceof ModelOutputInvalid) countRefusal(model, failure.gate);
    await request.onAttempt({
      number,
      model,
      startedAt,
      finishedAt,
      outcome: failure === undefined ? 'succeeded' : 'failed',
      errorCode: failure?.code ?? null,
      errorMessage: failure?.message ?? null,
      responseModel: response?.responseModel ?? null,
      providerRequestId: response?.providerRequestId ?? ('failure' in result ? result.failure.providerRequestId : undefined) ?? null,
      inputTokens: response?.usage?.inputTokens ?? null,
      outputTokens: response?.usage?.outputTokens ?? null,
    });
  }

  private async call(request: ModelRequest, gate: OutputGate, deadline: Deadline): Promise<CallResult> {
    const { name, ...options } = callSpan(this.provider, request);
    let response: ModelResponse | undefined;
    try {
      return await inSpan(name, options, async (span) => {
        response = await this.complete(request, deadline);
        describeResponse(span, response);
        return { output: await outputOf(request.turns, response, gate), response };
      });
    } catch (error) {
      if (error instanceof ModelFailure) return { failure: error, response };
      if (response !== undefined) return { defect: error, response };
      throw error;
    }
  }

  private async complete(request: ModelRequest, deadline: Deadline): Promise<ModelResponse> {
    try {
      return await this.provider.complete(request, callOptions(deadline));
    } catch (error) {
      throw await this.settled(failureWithin(deadline, error), deadline);
    }
  }

  /**
   * Finds out whether a failure concerns the one request: then the API takes a probe, and the request is refused for good. A key without credit takes a
   * probe, too, and is still refused. An answer that is too large or unlike any of a model API keeps its class, unless a probe shows that no model API is
   * there.
   */
  private async settled(failure: ModelFailure, deadline: Deadline): Promise<ModelFailure> {
    if (failure instanceof ModelAnswerTooLarge || (failure instanceof ModelUnavailable && failure.mayConcernRequest)) {
      const ofProbe = await this.probe(deadline);
      return ofProbe instanceof ModelMisconfigured ? ofProbe : failure;
    }
    if (failure instanceof ModelCredentialRefused || failure.mayConcernRequest) {
      const ofProbe = await this.probe(deadline);
      if (ofProbe?.code === failure.code) return this.ofEveryRequest(failure);
      const details = { providerRequestId: failure.providerRequestId, cause: failure };
      if (failure.mayConcernRequest && ofProbe === undefined) return new ModelRefused(failure.message, details);
      if (failure.mayConcernRequest) return new ModelUnavailable(failure.message, details);
    }
    return failure instanceof ModelMisconfigured ? this.ofEveryRequest(failure) : failure;
  }

  /** Sends a probe. Returns its failure; undefined if it is taken. */
  private async probe(deadline: Deadline): Promise<ModelFailure | undefined> {
    try {
      await this.provider.probe(callOptions(deadline));
      return undefined;
    } catch (error) {
      return this.ofEveryRequest(failureWithin(deadline, error));
    }
  }

  /** The failure of a provider that takes no request, with its address; any other as it is. */
  private ofEveryRequest(failure: ModelFailure): ModelFailure {
    const details = { providerRequestId: failure.providerRequestId, cause: failure };
    if (failure instanceof ModelMisconfigured)
      return new ModelMisconfigured(`There is no model API at POST ${this.address}. ${failure.message}`, details);
    if (failure instanceof ModelCredentialRefused)
      return new ModelKeyRefused(`The key is refused at POST ${this.address}. ${failure.message}`, details);
    return failure;
  }

  /**
   * Returns the next request after a failure, when it is time to send it.
   * @throws the failure if no further call can help
   */
  private async requestAfter(
    request: ModelRequest,
    failure: ModelFailure,
    response: ModelResponse | undefined,
    spent: SpentBudget,
    deadline: Deadline,
  ): Promise<ModelRequest> {
    if (failure instanceof ModelOutputInvalid && response !== undefined) return repairRequest(request, failure, response, spent);
    await this.waitOut(failure, spent, deadline);
    return request;
  }

  private async waitOut(failure: ModelFailure, spent: SpentBudget, deadline: Deadline): Promise<void> {
    const delayMs = this.delayAfter(failure, spent);
    // A wait beyond the deadline is not begun: the caller learns at once, with the wait that the provider asked for.
    if (delayMs === undefined || delayMs >= deadline.remainingMs) throw failure;
    try {
      await this.clock.sleep(delayMs, deadline.signal);
    } catch (error) {
      throw deadline.passed ? failure : error;
    }
  }

  private delayAfter(failure: ModelFailure, spent: SpentBudget): number | undefined {
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

function callOptions(deadline: Deadline): { signal: AbortSignal; timeoutMs: number } {
  return { signal: deadline.signal, timeoutMs: deadline.timeoutMs + 60_000 };
}

/**
 * The failure of a call: the provider's, or the deadline's if that has passed.
 * @throws the reason of the caller's signal if that ended the call; the error itself if it is a defect
 */
function failureWithin(deadline: Deadline, error: unknown): ModelFailure {
  if (deadline.passed) return new ModelUnavailable(`The model did not answer within ${deadline.timeoutMs} ms`, { cause: error });
  deadline.signal.throwIfAborted();
  if (error instanceof ModelFailure) return error;
  throw error;
}

function firstRequest(request: InferenceRequest): ModelRequest {
  const { schema } = request.outputSchema;
  return {
    model: request.model,
    turns: promptFor(request.instructions, request.input, request.prompt),
    schema: { name: request.schemaName.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'output', schema, strict: isStrict(schema) },
    temperature: request.temperature,
    maxOutputTokens: request.maxOutputTokens,
  };
}

const strictness = new WeakMap<object, boolean>();

/** True if a provider can enforce the schema. */
function isStrict(schema: object): boolean {
  const known = strictness.get(schema) ?? fitsStrictSubset(schema);
  strictness.set(schema, known);
  return known;
}

/** @throws ModelRefused, ModelOutputInvalid by rejection only */
async function outputOf(turns: readonly Turn[], response: ModelResponse, gate: OutputGate): Promise<Json> {
  if (response.finish === 'refused') throw new ModelRefused(`The model refused: ${response.refusal?.slice(0, 500)}`);
  if (response.finish === 'truncated') throw new ModelOutputInvalid('size', ['the answer was cut off at the limit of output tokens']);
  return gate.accept(answerText(turns, response.text));
}

/** @throws the failure if the repairs are used up */
function repairRequest(request: ModelRequest, failure: ModelOutputInvalid, response: ModelResponse, spent: SpentBudget): ModelRequest {
  if (response.finish === 'truncated') {
    if (spent.lengthened) throw failure;
    spent.lengthened = true;
    const used = request.maxOutputTokens ?? response.usage?.outputTokens ?? outputTokensIfUnknown;
    return { ...request, maxOutputTokens: Math.min(outputTokensLimit, used * 4) };
  }
  if (spent.repairs >= repairs) throw failure;
  spent.repairs += 1;
  return { ...request, turns: repairPrompt(request.turns, response.text, failure.problems) };
}

function inference(output: Json, response: ModelResponse, attempts: number): Inference {
  const { responseModel, usage, providerRequestId } = response;
  return { output, responseModel, usage, attempts, providerRequestId };
}
