import { hash, randomUUID, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { JsonTooDeep, asDoubles, parseJson as readJson } from '#libs/json';
import { longestTimerMs, sleep, wallTime } from '#libs/time';
import { logger, workDone } from '#libs/tracing';
import { answer } from '../answering/answer.js';
import { localModelOptions } from '../config.js';
import type { LocalModelOptions } from '../config.js';
import { FaultPlan } from '../faults/fault-plan.js';
import { fault } from '../faults/fault.js';
import type { Fault } from '../faults/fault.js';
import { RateLimits } from '../limits/rate-limits.js';
import { ApiError, InvalidRequest, KeyRefused, ModelUnknown } from './api.errors.js';
import type { ModelQuestion } from './model-question.js';
import { modelName } from './api-format.js';
import type { Completion, ApiFormat, StreamEvent } from './api-format.js';

const log = logger('local-model');

/** The header that makes one request fail. Its value is a fault as JSON, or only the name of a fault without parameters. */
export const faultHeader = 'x-local-model-fault';

/** An estimate for English, exact enough for limits and usage. */
const charactersPerToken = 4;

type ApiRequest = FastifyRequest<{ Body: Buffer }>;

/** Handles a request of either format: checks the key, reads the question, plays a planned fault, applies limits, answers. */
@Injectable()
export class CompletionService implements OnModuleDestroy {
  private readonly closing = new AbortController();

  constructor(
    @Inject(localModelOptions) private readonly options: LocalModelOptions,
    private readonly faults: FaultPlan,
    private readonly limits: RateLimits,
  ) {}

  /** Ends the requests that hang. */
  onModuleDestroy(): void {
    this.closing.abort();
  }

  /** @throws ApiError */
  async handle(request: ApiRequest, reply: FastifyReply, format: ApiFormat): Promise<void> {
    const startedAt = performance.now();
    reply.header('x-request-id', `req_${randomUUID().replaceAll('-', '')}`);
    const report = (outcome: string, fields: object = {}, level?: 'info'): void => {
      workDone(log, 'completion', { outcome, durationMs: performance.now() - startedAt, api: format.name, ...fields }, undefined, level);
    };
    try {
      report('ok', await this.answer(request, reply, format));
    } catch (error) {
      const status = error instanceof ApiError ? error.status : undefined;
      // A caller's mistake is answered. Whoever starts standalone sees warnings, and its own probe asks with one.
      report(String(status ?? 'defect'), {}, status !== undefined && status < 500 ? 'info' : undefined);
      throw error;
    }
  }

  /** @returns the fields of the canonical log line */
  private async answer(request: ApiRequest, reply: FastifyReply, format: ApiFormat): Promise<object> {
    this.requireKey(request.headers.authorization);
    const question = format.read(parseJson(request.body));
    if (question.model !== modelName) throw new ModelUnknown(question.model, modelName);
    const struck = this.faultFor(request, question);
    if (struck !== undefined && !(await this.letsAnswer(struck, reply))) return { fault: struck.fault };
    const completion = this.complete(question, struck);
    reply.headers(this.limits.headers());
    if (question.stream) sendEvents(reply, format.stream(completion, question), struck);
    else await sendWhole(reply, format.whole(completion, question), struck);
    const { inputTokens, outputTokens } = completion;
    return { stream: question.stream, inputTokens, outputTokens, fault: struck?.fault };
  }

  /** @throws KeyRefused */
  requireKey(authorization: string | undefined): void {
    const { apiKey } = this.options;
    if (apiKey === undefined) return;
    const given = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), digest(apiKey))) throw new KeyRefused(given !== undefined);
  }

  private faultFor(request: ApiRequest, question: ModelQuestion): Fault | undefined {
    if (!this.options.faults) return undefined;
    const asked = request.headers[faultHeader];
    return typeof asked === 'string' ? faultOfHeader(asked) : this.faults.take(question);
  }

  /**
   * Plays the part of a fault that comes before the answer.
   * @returns false if there will be no answer
   * @throws ApiError for a planned status
   */
  private async letsAnswer(struck: Fault, reply: FastifyReply): Promise<boolean> {
    if (struck.fault === 'status') throw plannedError(struck);
    if (struck.fault !== 'hang' && struck.fault !== 'delay') return true;
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const ended = AbortSignal.any([gone.signal, this.closing.signal]);
    const waited = sleep(struck.fault === 'delay' ? struck.delayMs : longestTimerMs, ended).then(
      () => true,
      () => false,
    );
    if (await waited) return true;
    reply.hijack();
    reply.raw.destroy();
    return false;
  }

  private complete(question: ModelQuestion, struck: Fault | undefined): Completion {
    const inputTokens = tokensOf(question.promptLength);
    this.limits.admit(inputTokens);
    const given = answer(question.inputs, question.format);
    const whole = 'refusal' in given ? '' : spoiled(given.text, struck);
    const limit = (question.maxOutputTokens ?? Infinity) * charactersPerToken;
    const text = whole.slice(0, limit);
    const outputTokens = tokensOf('refusal' in given ? given.refusal.length : text.length);
    this.limits.settle(outputTokens);
    return {
      model: modelName,
      id: randomUUID().replaceAll('-', ''),
      createdAt: wallTime(),
      text,
      refusal: 'refusal' in given ? given.refusal : undefined,
      truncated: whole.length > limit,
      inputTokens,
      outputTokens,
    };
  }
}

function spoiled(text: string, struck: Fault | undefined): string {
  if (struck?.fault === 'says') return struck.text;
  if (struck?.fault === 'brokenJson') return text.slice(0, Math.ceil(text.length / 2));
  return struck?.fault === 'schemaBreaking' ? JSON.stringify({ unexpected: [text.length] }) : text;
}

async function sendWhole(reply: FastifyReply, body: object, struck: Fault | undefined): Promise<void> {
  if (struck?.fault !== 'cutStream') return void (await reply.status(200).send(body));
  const text = JSON.stringify(body);
  openRaw(reply, { 'content-type': 'application/json; charset=utf-8', 'content-length': String(Buffer.byteLength(text)) });
  reply.raw.write(text.slice(0, text.length / 2), () => reply.raw.destroy());
}

function sendEvents(reply: FastifyReply, events: Iterable<StreamEvent>, struck: Fault | undefined): void {
  const all = [...events];
  openRaw(reply, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  const sent = struck?.fault === 'cutStream' ? all.slice(0, Math.ceil(all.length / 2)) : all;
  for (const { event, data } of sent) {
    const name = event === undefined ? '' : `event: ${event}\n`;
    reply.raw.write(`${name}data: ${data === '[DONE]' ? data : JSON.stringify(data)}\n\n`);
  }
  if (sent.length < all.length) reply.raw.write('', () => reply.raw.destroy());
  else reply.raw.end();
}

/** Takes the response over from Fastify and writes its head, with the headers that were set on the reply. */
function openRaw(reply: FastifyReply, headers: Record<string, string>): void {
  reply.hijack();
  reply.raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), ...headers });
}

function plannedError({ status, retryAfterSeconds, code }: Extract<Fault, { fault: 'status' }>): ApiError {
  const type = status === 429 ? 'rate_limit_exceeded' : status < 500 ? 'invalid_request_error' : 'server_error';
  const headers: Record<string, string> = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  return new ApiError(status, type, `A planned fault of the local model: ${status}.`, null, code ?? null, headers);
}

/** @throws InvalidRequest */
function faultOfHeader(text: string): Fault {
  const result = fault.safeParse(text.trim().startsWith('{') ? parseJson(Buffer.from(text)) : { fault: text.trim() });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new InvalidRequest(`The header ${faultHeader} holds no fault: ${issue?.path.join('.')} ${issue?.message}.`, faultHeader);
}

/** @throws InvalidRequest */
function parseJson(body: Buffer): unknown {
  try {
    return asDoubles(readJson(body.toString('utf8')));
  } catch (error) {
    if (error instanceof JsonTooDeep) throw new InvalidRequest(`The JSON body of your request ${error.message}.`, null);
    throw new InvalidRequest('We could not parse the JSON body of your request.', null);
  }
}

function tokensOf(length: number): number {
  return Math.ceil(length / charactersPerToken);
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
