import { failureReason } from '#libs/contracts';
import type { Json } from '#libs/json';
import { delayBefore } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';
import { MemoryLimitStore } from '#libs/limits';
import type { LimitStore } from '#libs/limits';
import type { SharedOutputs } from '#libs/redis';
import { Stopwatch, sleep, wallTime } from '#libs/time';
import { counter, inSpan } from '#libs/tracing';
import type { Span } from '#libs/tracing';
import { Deadline } from './deadline.js';
import { callSpan, countCall, countRefusal, describeResponse, noteFirstChunk } from './gen-ai.js';
import type { ModelCircuit, Passage } from './model-circuit.js';
import { costNanosOf, decisiveFailure, fallbackReasonOf } from './model-directory.js';
import type { ModelCandidate, ModelDirectory, ModelPlan } from './model-directory.js';
import type { Inference, InferenceRequest, ModelAttempt } from './inference.js';
import { InferenceCache } from './inference-cache.js';
import { InferenceDraft } from './inference-draft.js';
import { ModelEndpoint, callOptions, failureWithin } from './model-endpoint.js';
import type { Clock } from './model-endpoint.js';
import type { CallTurn, ModelLimiter } from './model-limiter.js';
import type { ModelLimits } from './model-limits.js';
import type { ModelProvider, ModelRequest, ModelResponse } from './model-provider.js';
import {
  ModelBudgetSpent,
  ModelFailure,
  ModelLimited,
  ModelNotFree,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from './model.errors.js';
import type { ModelSpending } from './model-spending.js';
import { OutputGate } from './output-gate.js';
import { fitsStrictSubset } from './strict-subset.js';
import { answerText, promptFor, repairPrompt } from '#libs/prompts';
import type { Turn } from '#libs/prompts';

/** Four calls in all, 0.25 s to 8 s apart, with full jitter. Model calls are expensive, and the flow retries the step afterwards. */
export const modelRetry: RetryPolicy = Object.freeze({ retries: 3, initialDelayMs: 250, factor: 2, maxDelayMs: 8_000, jitter: 1 });
/** Waits after a 429 without a stated wait. They use up no retry: only the deadline ends them. */
const unstatedLimit: RetryPolicy = Object.freeze({ retries: Infinity, initialDelayMs: 1_000, factor: 2, maxDelayMs: 30_000, jitter: 0.5 });
/** A retry of the same model before the next one of a route is asked. */
const retriesBeforeNext = 1;
/** The longest wait for a limited model that has another behind it. */
const patienceBeforeNextMs = 1_000;
const repairs = 2;
const outputTokensIfUnknown = 1_024;
const outputTokensLimit = 128_000;

export interface ModelGatewayOptions {
  /** The provider of the installation. The gateway closes it. */
  provider: ModelProvider;
  /** Finds the providers and routes of tenants. Default: there are none, and each target is a model of `provider`. */
  directory?: ModelDirectory;
  /** Keeps the limits of models. The gateway does not close it. Default: one of this process alone. */
  limitStore?: LimitStore;
  /** Outputs of other processes, for requests with a cache. Default: each process has its own alone. */
  sharedOutputs?: SharedOutputs | undefined;
  /** Limits of each model of `provider`, beside those that it names in its answers. Default: none. */
  limits?: ModelLimits;
  /** Counts what calls cost. Default: nobody does. */
  spending?: ModelSpending | undefined;
  /** For transient failures. Default: {@link modelRetry}. */
  retry?: RetryPolicy;
  clock?: Clock;
}

export const systemClock: Clock = { now: () => performance.now(), sleep };

const fallbacks = counter(
  'millrace_model_fallbacks_total',
  'Times that the next model of a route was asked, by the kind of failure of the one before.',
  { tenant: 'the tenant', route: 'the ModelRoute document', model: 'the model that failed', reason: 'a word of `fallbackOn`, or `budget`' },
);

type CallResult =
  | { readonly output: Json; readonly response: ModelResponse }
  | { readonly failure: ModelFailure; readonly response: ModelResponse | undefined }
  /** The response came, and reading it failed with an unexpected error. It is recorded, because it was paid for. */
  | { readonly defect: unknown; readonly response: ModelResponse };

/** The retries and repairs that the calls of one candidate have used up. */
interface SpentBudget {
  failures: number;
  limits: number;
  repairs: number;
  lengthened: boolean;
  /** True: a call for an answer in pieces brought none, and not because the provider is overloaded. Further ones ask for it as a whole. */
  whole: boolean;
}

/** An inference under way. */
interface Work {
  readonly request: InferenceRequest;
  readonly gate: OutputGate;
  /** Undefined if nobody watches the text. */
  readonly draft: InferenceDraft | undefined;
  /** Calls made so far, of all candidates. */
  calls: number;
  /** The attempts recorded so far: calls, and candidates that were passed over. */
  attempts: number;
}

/** One candidate at work for an inference. */
interface Course {
  readonly work: Work;
  readonly candidate: ModelCandidate;
  readonly circuit: ModelCircuit;
  readonly limiter: ModelLimiter;
  readonly deadline: Deadline;
  readonly spent: SpentBudget;
  /** True if another candidate can be asked instead. */
  readonly hasNext: boolean;
}

/**
 * Calls models until an output passes the gates, the request is refused, or the deadline passes. It owns the only retry loop: a provider makes one
 * call at a time, so no wait goes beyond the deadline and every call is recorded.
 */
export class ModelGateway {
  /** The provider of the installation. */
  readonly endpoint: ModelEndpoint;
  private readonly directory: ModelDirectory | undefined;
  private readonly spending: ModelSpending | undefined;
  private readonly cache: InferenceCache;
  private readonly retry: RetryPolicy;
  private readonly clock: Clock;

  constructor({
    provider,
    directory,
    limitStore,
    sharedOutputs,
    limits,
    spending,
    retry = modelRetry,
    clock = systemClock,
  }: ModelGatewayOptions) {
    this.endpoint = new ModelEndpoint({
      provider,
      name: null,
      scope: `installation/${provider.server.href}`,
      limitStore: limitStore ?? new MemoryLimitStore(clock.now),
      limits,
      clock,
      remedy: 'MODEL_BASE_URL and MODEL_API_KEY',
    });
    this.cache = new InferenceCache(clock.now, sharedOutputs);
    this.directory = directory;
    this.spending = spending;
    this.retry = retry;
    this.clock = clock;
  }

  /** @throws ModelFailure; InputTooLong; NotFound if the tenant has no such provider or route; the signal's reason if `signal` ended the inference */
  async infer(request: InferenceRequest): Promise<Inference> {
    using deadline = new Deadline(request.timeoutMs, request.signal, this.clock.now);
    const { cache, observer } = request;
    const draft = observer === undefined ? undefined : new InferenceDraft(observer);
    const work: Work = { request, gate: new OutputGate(request), draft, calls: 0, attempts: 0 };
    if (cache === undefined) return await this.ask(work, deadline);
    const given = await this.cache.get({ ...request, cache }, { gate: work.gate, deadline }, () => this.ask(work, deadline));
    if (given.attempts === 0) draft?.add(JSON.stringify(given.output)); // it is the output of another request
    return given;
  }

  /** Asks one candidate after another. */
  private async ask(work: Work, deadline: Deadline): Promise<Inference> {
    const { request } = work;
    const { candidates, fallbackOn } = this.planOf(request);
    const failures: ModelFailure[] = [];
    for (const [at, candidate] of candidates.entries()) {
      const hasNext = at < candidates.length - 1;
      const callsBefore = work.calls;
      try {
        this.spending?.requireAllowance(request, candidate);
        return await this.inferAt(candidate, work, deadline, hasNext);
      } catch (error) {
        if (!(error instanceof ModelFailure)) throw error;
        failures.push(error);
        const reason = fallbackReasonOf(error);
        if (reason === 'budget' ? error instanceof ModelBudgetSpent : !fallbackOn.has(reason)) throw error;
        if (candidates.length > 1 && work.calls === callsBefore) await this.passOver(candidate, error, work);
        if (!hasNext || deadline.passed) break;
        if ('route' in request.target)
          fallbacks.inc({ tenant: request.tenant, route: request.target.route, model: candidate.model, reason });
      }
    }
    throw decisiveFailure(failures);
  }

  private planOf({ tenant, target }: InferenceRequest): ModelPlan {
    if ('model' in target && target.provider === undefined)
      return { candidates: [{ endpoint: this.endpoint, model: target.model }], fallbackOn: new Set() };
    if (this.directory === undefined) throw new Error('This gateway has no directory of providers and routes');
    return this.directory.planOf(tenant, target, this.endpoint);
  }

  private async inferAt(candidate: ModelCandidate, work: Work, outer: Deadline, hasNext: boolean): Promise<Inference> {
    const { request } = work;
    const limitMs = candidate.timeoutMs ?? (hasNext ? outer.remainingMs / 2 : outer.remainingMs);
    using own = limitMs < outer.remainingMs ? outer.part(Math.ceil(limitMs)) : undefined;
    const course: Course = {
      work,
      candidate,
      circuit: candidate.endpoint.circuitOf(request.tenant, candidate.model),
      limiter: candidate.endpoint.limiterOf(candidate.model, candidate.limits),
      deadline: own ?? outer,
      spent: { failures: 0, limits: 0, repairs: 0, lengthened: false, whole: false },
      hasNext,
    };
    for (let modelRequest = firstRequest(request, candidate); ;) {
      const { result, failure } = await this.callOnce(course, modelRequest);
      if ('output' in result) return inference(result.output, candidate, result.response, work.calls);
      if ('defect' in result) throw result.defect;
      modelRequest = await this.requestAfter(modelRequest, failure ?? result.failure, result.response, course);
    }
  }

  /** Makes one call, unless there is no use in one, and reports it. @throws ModelMisconfigured, ModelKeyRefused, ModelOutage */
  private async callOnce(course: Course, modelRequest: ModelRequest): Promise<{ result: CallResult; failure: ModelFailure | undefined }> {
    const { work, candidate, circuit, limiter } = course;
    const turn = await this.turnFor(course, modelRequest);
    const { passage, watch } = this.begin(course, turn);
    let result: CallResult;
    try {
      result = await this.call(course, modelRequest);
    } catch (error) {
      circuit.leave(passage, undefined, { wasEnded: true });
      turn.settle(undefined);
      throw error;
    }
    turn.settle(result.response?.usage);
    noteLimits(limiter, result);
    const failure = circuit.leave(passage, 'failure' in result ? result.failure : undefined);
    if (!('output' in result)) work.draft?.restart();
    work.calls += 1;
    await this.report(candidate, watch, result, work);
    return { result, failure };
  }

  /** Waits for the turn of a call. @throws ModelLimited, ModelOutage */
  private async turnFor(
    { work: { request }, candidate, circuit, limiter, deadline, hasNext }: Course,
    { turns, schema }: ModelRequest,
  ): Promise<CallTurn> {
    circuit.requirePassable();
    const { tenant, customer = '', lane = 'normal' } = request;
    return await limiter.take({
      lane,
      owner: candidate.endpoint.name === null ? tenant : customer, // the provider of the installation serves all tenants
      characters: turns.reduce((sum, { content }) => sum + content.length, 0) + sizeOf(schema.schema),
      maxOutputTokens: request.maxOutputTokens,
      deadline,
      patienceMs: hasNext ? patienceBeforeNextMs : undefined,
    });
  }

  /** @throws ModelMisconfigured, ModelKeyRefused, ModelOutage; as {@link failureWithin} if the time is up */
  private begin({ candidate, circuit, deadline }: Course, turn: CallTurn): { passage: Passage; watch: Stopwatch } {
    try {
      if (deadline.signal.aborted) throw failureWithin(deadline, deadline.signal.reason);
      candidate.endpoint.requireUsable();
      return { passage: circuit.enter(), watch: new Stopwatch(this.clock.now) };
    } catch (error) {
      turn.settle(undefined);
      throw error;
    }
  }

  /** Waits for calls under way, then closes the connections. */
  async close(): Promise<void> {
    await this.endpoint.close();
  }

  private async report(candidate: ModelCandidate, watch: Stopwatch, result: CallResult, work: Work): Promise<void> {
    const { request } = work;
    const { startedAt, finishedAt, durationMs } = watch.stop();
    const { response } = result;
    const { endpoint, model, price } = candidate;
    const failure = 'failure' in result ? result.failure : 'defect' in result ? failureReason(result.defect) : undefined;
    endpoint.note('failure' in result ? result.failure : undefined);
    countCall(model, endpoint.provider, failure?.code ?? 'ok', durationMs, response);
    if (failure instanceof ModelOutputInvalid) countRefusal(model, failure.gate);
    const costNanos = costNanosOf(price, response?.usage);
    work.attempts += 1;
    const attempt: ModelAttempt = {
      number: work.attempts,
      provider: endpoint.name,
      model,
      startedAt,
      finishedAt,
      outcome: failure === undefined ? 'succeeded' : 'failed',
      errorCode: failure?.code ?? null,
      errorMessage: failure?.message ?? null,
      budget: null,
      responseModel: response?.responseModel ?? null,
      providerRequestId: response?.providerRequestId ?? ('failure' in result ? result.failure.providerRequestId : undefined) ?? null,
      inputTokens: response?.usage?.inputTokens ?? null,
      outputTokens: response?.usage?.outputTokens ?? null,
      costNanos: costNanos ?? null,
      currency: costNanos === undefined ? null : price!.currency,
    };
    this.spending?.note(request, attempt);
    await request.onAttempt(attempt);
  }

  /** Records that a route asks another model without a call of this one, or found none to call. */
  private async passOver({ endpoint, model }: ModelCandidate, failure: ModelFailure, work: Work): Promise<void> {
    const at = wallTime();
    work.attempts += 1;
    await work.request.onAttempt({
      number: work.attempts,
      provider: endpoint.name,
      model,
      startedAt: at,
      finishedAt: at,
      outcome: 'passedOver',
      errorCode: failure.code,
      errorMessage: failure.message,
      budget: failure instanceof ModelNotFree ? failure.budget : null,
      responseModel: null,
      providerRequestId: null,
      inputTokens: null,
      outputTokens: null,
      costNanos: null,
      currency: null,
    });
  }

  /** Makes one call, in pieces if somebody watches the text. */
  private async call({ work, candidate, deadline, spent }: Course, request: ModelRequest): Promise<CallResult> {
    const { endpoint } = candidate;
    const { name, ...options } = callSpan(endpoint.provider, request);
    let response: ModelResponse | undefined;
    try {
      return await inSpan(name, options, async (span) => {
        const { draft } = work;
        const isWhole = draft === undefined || spent.whole;
        response = await (isWhole ? complete(endpoint, request, deadline) : this.stream(endpoint, request, { deadline, draft, span }));
        if (isWhole) draft?.add(answerText(request.turns, response.text));
        describeResponse(span, response);
        return { output: await outputOf(request.turns, response, work.gate), response };
      });
    } catch (error) {
      if (error instanceof ModelFailure) return { failure: error, response };
      if (response !== undefined) return { defect: error, response };
      throw error;
    }
  }

  /** Passes the text on as it arrives. @throws as {@link complete} */
  private async stream(
    endpoint: ModelEndpoint,
    request: ModelRequest,
    { deadline, draft, span }: { readonly deadline: Deadline; readonly draft: InferenceDraft; readonly span: Span },
  ): Promise<ModelResponse> {
    const startedAt = this.clock.now();
    let hasText = false;
    try {
      for await (const event of endpoint.provider.stream(request, callOptions(deadline))) {
        if (event.type === 'end') return event.response;
        if (!hasText) noteFirstChunk(request.model, endpoint.provider, span, this.clock.now() - startedAt);
        hasText = true;
        draft.add(answerText(request.turns, event.text));
      }
    } catch (error) {
      throw await endpoint.settled(failureWithin(deadline, error), deadline);
    }
    throw new Error(`The provider ${endpoint.provider.name} ended a stream without its end`);
  }

  /**
   * Returns the next request after a failure, when it is time to send it.
   * @throws the failure if no further call of this candidate can help
   */
  private async requestAfter(
    request: ModelRequest,
    failure: ModelFailure,
    response: ModelResponse | undefined,
    course: Course,
  ): Promise<ModelRequest> {
    const { work, spent } = course;
    if (failure instanceof ModelOutputInvalid && response !== undefined) return repairRequest(request, failure, response, spent);
    const isRefused = failure instanceof ModelRefused;
    if (work.draft !== undefined && !spent.whole && response === undefined && (isRefused || failure.mayConcernRequest)) {
      spent.whole = true; // a server may answer everything but requests for pieces
      if (isRefused) return request;
    }
    await this.waitOut(failure, course);
    return request;
  }

  private async waitOut(failure: ModelFailure, course: Course): Promise<void> {
    const { deadline } = course;
    const delayMs = this.delayAfter(failure, course);
    // A wait beyond the deadline is not begun: the caller learns at once, with the wait that the provider asked for.
    if (delayMs === undefined || delayMs >= deadline.remainingMs) throw failure;
    try {
      await this.clock.sleep(delayMs, deadline.signal);
    } catch (error) {
      throw deadline.passed ? failure : error;
    }
  }

  /** Undefined if this candidate is not to be called again. */
  private delayAfter(failure: ModelFailure, { spent, hasNext, circuit }: Course): number | undefined {
    const { retryAfterMs } = failure;
    if (failure instanceof ModelLimited) {
      spent.limits += 1;
      const delayMs = delayBefore(unstatedLimit, retryAfterMs === undefined ? spent.limits : 1, { retryAfterMs });
      return hasNext && delayMs > patienceBeforeNextMs ? undefined : delayMs;
    }
    const most = hasNext ? Math.min(retriesBeforeNext, this.retry.retries) : this.retry.retries;
    if (!(failure instanceof ModelUnavailable) || spent.failures >= most || !circuit.takeRetry()) return undefined;
    spent.failures += 1;
    return delayBefore(this.retry, spent.failures, { retryAfterMs });
  }
}

/** @throws ModelFailure; the signal's reason if the caller ended the call */
async function complete(endpoint: ModelEndpoint, request: ModelRequest, deadline: Deadline): Promise<ModelResponse> {
  try {
    return await endpoint.provider.complete(request, callOptions(deadline));
  } catch (error) {
    throw await endpoint.settled(failureWithin(deadline, error), deadline);
  }
}

function firstRequest(
  request: InferenceRequest,
  { model, structuredOutput, maxOutputTokens: most = Infinity }: ModelCandidate,
): ModelRequest {
  const { schema } = request.outputSchema;
  return {
    model,
    turns: promptFor(request.instructions, request.input, request.prompt),
    schema: { name: request.schemaName.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'output', schema, strict: isStrict(schema) },
    structuredOutput,
    temperature: request.temperature,
    maxOutputTokens: request.maxOutputTokens === undefined ? undefined : Math.min(most, request.maxOutputTokens),
  };
}

function noteLimits(limiter: ModelLimiter, result: CallResult): void {
  if (result.response?.limits !== undefined) limiter.learn(result.response.limits);
  if (!('failure' in result) || !(result.failure instanceof ModelLimited)) return;
  if (result.failure.limits !== undefined) limiter.learn(result.failure.limits);
  limiter.noteLimited(result.failure.retryAfterMs);
}

const sizes = new WeakMap<object, number>();

/** The characters that a schema takes in a request. */
function sizeOf(schema: object): number {
  const known = sizes.get(schema) ?? JSON.stringify(schema).length;
  sizes.set(schema, known);
  return known;
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

function inference(output: Json, { model }: ModelCandidate, response: ModelResponse, attempts: number): Inference {
  const { responseModel, usage, providerRequestId } = response;
  return { output, model, responseModel, usage, attempts, providerRequestId };
}
