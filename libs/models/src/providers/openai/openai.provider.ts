import { OpenAI } from 'openai';
import type { ModelProvider, ModelRequest, ModelResponse, ModelStreamEvent, ProviderCallOptions } from '../../model-provider.js';
import { chatCompletions } from './chat-completions.js';
import type { OpenAiApi } from './openai-api.js';
import { failureOfCall } from './openai.failures.js';
import { responses } from './responses.js';
import { Transport } from './transport.js';

export interface OpenAiProviderOptions {
  /** Up to and including the version, such as `https://api.openai.com/v1`. */
  baseUrl: string;
  apiKey: string;
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
  private readonly format: OpenAiApi;
  private readonly now: () => number;

  constructor({ baseUrl, apiKey, api = 'chat', now = Date.now }: OpenAiProviderOptions) {
    this.transport = new Transport(apiKey);
    const client = new OpenAI({
      baseURL: baseUrl,
      apiKey,
      maxRetries: 0,
      organization: null,
      project: null,
      logLevel: 'off',
      fetch: this.transport.fetch,
    });
    this.api = api;
    this.server = new URL(baseUrl);
    this.attributes = { 'openai.api.type': api === 'chat' ? 'chat_completions' : 'responses' };
    this.format = api === 'chat' ? chatCompletions(client) : responses(client);
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

  async close(): Promise<void> {
    await this.transport.close();
  }
}
