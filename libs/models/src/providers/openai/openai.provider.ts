import { APIError, OpenAI } from 'openai';
import type { ClientOptions } from 'openai';
import type { Agent } from 'undici';
import { wallTimeMs } from '#libs/time';
import type { ModelProvider, ModelRequest, ModelResponse, ModelStreamEvent, ProviderCallOptions } from '../../model-provider.js';
import { ModelAnswerTooLarge, ModelLimited, ModelMisconfigured, ModelRefused, ModelUnavailable } from '../../model.errors.js';
import type { ModelFailure } from '../../model.errors.js';
import { unreadable, valuesIn } from './answer-body.js';
import { chatCompletions } from './chat-completions.js';
import { openAiDialect } from './dialect.js';
import type { Dialect } from './dialect.js';
import { errorOf } from './error-body.js';
import { modelNamesIn } from './model-list.js';
import type { OpenAiApi } from './openai-api.js';
import { failureInBody, failureOfCall } from './openai.failures.js';
import { PreparedClient } from './prepared-client.js';
import { responses } from './responses.js';
import { Transport } from './transport.js';

export interface OpenAiProviderOptions {
  /** Up to and including the version, such as `https://api.openai.com/v1`. */
  baseUrl: string;
  /** Default: none is sent. */
  apiKey?: string | undefined;
  /** Added to every request. A credential in one is kept out of messages. */
  headers?: Readonly<Record<string, string>>;
  /** The fields in which the server differs from OpenAI. Default: none. */
  dialect?: Dialect;
  /** Makes the connections; it is closed with the provider. Default: connections to every address. */
  agent?: Agent;
  /** The API that the server speaks. Default: `chat`, which nearly every compatible server speaks. */
  api?: 'chat' | 'responses';
  /** Ms since the epoch; a `Retry-After` date is measured against it. Default: the system's clock. */
  now?: () => number;
}

/** Any server that speaks OpenAI's chat completions or responses. The SDK's own retries are off: the gateway owns the only retry loop. */
export class OpenAiProvider implements ModelProvider {
  readonly name = 'openai';
  readonly api: 'chat' | 'responses';
  readonly server: URL;
  readonly attributes: Readonly<Record<string, string>>;
  private readonly transport: Transport;
  private readonly client: PreparedClient;
  /** Makes each request anew, so any method can be sent; the prepared client sends only POST. */
  private readonly plain: OpenAI;
  private readonly format: OpenAiApi;
  private readonly now: () => number;

  constructor({ baseUrl, apiKey, headers = {}, dialect = openAiDialect, agent, api = 'chat', now = wallTimeMs }: OpenAiProviderOptions) {
    this.transport = new Transport([...(apiKey === undefined ? [] : [apiKey]), ...Object.values(headers)], agent);
    const options: ClientOptions = {
      baseURL: baseUrl,
      apiKey: apiKey ?? 'none', // the SDK insists on one
      defaultHeaders: apiKey === undefined ? { authorization: null, ...headers } : headers,
      maxRetries: 0,
      organization: null,
      project: null,
      logLevel: 'off',
      fetch: this.transport.fetch,
    };
    this.api = api;
    this.plain = new OpenAI(options);
    this.client = new PreparedClient(options, this.plain, this.transport);
    this.attributes = { 'openai.api.type': api === 'chat' ? 'chat_completions' : 'responses' };
    const clients = { whole: this.client, streaming: this.plain };
    this.format = api === 'chat' ? chatCompletions(clients, dialect) : responses(clients, dialect);
    this.server = addressOf(baseUrl, this.format.path);
    this.now = now;
  }

  async complete(request: ModelRequest, { signal, timeoutMs }: ProviderCallOptions): Promise<ModelResponse> {
    try {
      return await this.format.complete(request, { signal, timeout: timeoutMs });
    } catch (error) {
      signal.throwIfAborted();
      throw failureOfCall(error, this.now());
    }
  }

  async *stream(request: ModelRequest, { signal, timeoutMs }: ProviderCallOptions): AsyncGenerator<ModelStreamEvent> {
    try {
      yield* this.format.stream(request, { signal, timeout: timeoutMs });
    } catch (error) {
      signal.throwIfAborted();
      throw failureOfCall(error, this.now());
    }
  }

  /** Sends a request without its members. A server that has the API refuses it for that, and none bills it. */
  async probe({ signal, timeoutMs }: ProviderCallOptions): Promise<void> {
    try {
      const [answer] = await valuesIn(
        await this.client.post(`/${this.format.path}`, { body: {}, signal, timeout: timeoutMs }).asResponse(),
      );
      const error = errorOf(answer?.value);
      if (error !== undefined) throw failureInBody(error, undefined);
      if (!this.format.isAnswer(answer?.value)) throw unreadable('it is no answer of the API', { providerRequestId: undefined });
    } catch (error) {
      signal.throwIfAborted();
      const failure = failureOfCall(error, this.now());
      if (showsThatApiIsThere(failure, error)) return;
      if (failure instanceof ModelAnswerTooLarge || (failure instanceof ModelUnavailable && failure.mayConcernRequest)) {
        const { message, providerRequestId, cause } = failure;
        throw new ModelMisconfigured(`No model API answers an empty request so: ${message}`, { providerRequestId, cause });
      }
      throw failure;
    }
  }

  async models({ signal, timeoutMs }: ProviderCallOptions): Promise<readonly string[]> {
    try {
      const [answer] = await valuesIn(await this.plain.get('/models', { signal, timeout: timeoutMs }).asResponse());
      const names = modelNamesIn(answer?.value);
      if (names.length > 0) return names;
      const error = errorOf(answer?.value);
      if (error !== undefined) throw failureInBody(error, undefined);
      return [];
    } catch (error) {
      signal.throwIfAborted();
      const failure = failureOfCall(error, this.now());
      if (failure instanceof ModelRefused || (error instanceof APIError && statusesWithoutList.has(error.status))) return [];
      throw failure;
    }
  }

  async close(): Promise<void> {
    await this.transport.close();
  }
}

function addressOf(baseUrl: string, path: string): URL {
  const url = new URL(`${baseUrl.replace(/\/$/, '')}/${path}`);
  url.username = '';
  url.password = '';
  return url;
}

/** A server of the API that has no list of its models answers the request for it with one of these. */
const statusesWithoutList: ReadonlySet<number | undefined> = new Set([404, 405, 410, 501]);

/** A request that is refused for its content, or that breaks the server's code (500), has reached the API. */
function showsThatApiIsThere(failure: ModelFailure, error: unknown): boolean {
  if (failure instanceof ModelRefused || failure instanceof ModelLimited) return true;
  return failure instanceof ModelUnavailable && error instanceof APIError && error.status === 500;
}
