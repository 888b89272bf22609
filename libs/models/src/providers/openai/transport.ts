import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import { ModelUnavailable } from '../../model.errors.js';
import { limitedEvents, readBody, startOf } from './body-limits.js';
import { errorIn } from './error-body.js';

type ResponseData = Dispatcher.ResponseData;

/**
 * The part of `fetch` that the SDK needs, with keep-alive connections of its own. It costs half the CPU of undici's `fetch`, because a JSON response
 * is read at once instead of through web streams; only an event stream is passed on as one. Redirects are not followed, so the key goes nowhere
 * else. Every body has a limit of size (`body-limits.ts`), and none is decompressed. It sets no time limits: the caller's signal does.
 */
export class Transport {
  private readonly agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 30_000, connect: { timeout: 10_000 } });

  constructor(private readonly apiKey: string) {}

  readonly fetch = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { statusCode, headers, body } = await request(url instanceof Request ? url.url : url, {
      dispatcher: this.agent,
      method: init.method as 'POST',
      // Without the field, any encoding would be acceptable (RFC 9110 §12.5.3).
      headers: { ...Object.fromEntries(new Headers(init.headers)), 'accept-encoding': 'identity' },
      body: init.body as string,
      signal: init.signal ?? null,
    });
    return new Response(await this.contentOf(statusCode, headers, body), {
      status: statusCode,
      headers: headers as Record<string, string>,
    });
  };

  /** @throws ModelFailure for a body of a success that is not read: it is too large, or compressed */
  private async contentOf(
    status: number,
    headers: ResponseData['headers'],
    body: ResponseData['body'],
  ): Promise<ConstructorParameters<typeof Response>[0]> {
    const encoding = String(headers['content-encoding'] ?? 'identity');
    const isEncoded = encoding.toLowerCase() !== 'identity';
    if (isEncoded) body.on('error', () => undefined).destroy();
    if (status >= 300) return this.errorText(isEncoded ? 'a compressed body' : await startOf(body));
    const providerRequestId = headers['x-request-id']?.toString();
    if (isEncoded) {
      const message = `The provider's answer could not be read: it is compressed (${encoding.slice(0, 50)}), which was not asked for`;
      throw new ModelUnavailable(message, { providerRequestId });
    }
    if (String(headers['content-type']).startsWith('text/event-stream')) {
      return (Readable.toWeb(body) as ReadableStream<Uint8Array>).pipeThrough(limitedEvents(providerRequestId));
    }
    const content = await readBody(body, providerRequestId);
    return content.length === 0 ? null : content;
  }

  /**
   * Errors are given the form that the SDK reads, because it passes over the reason in any other. Providers repeat a key that they refuse, and the
   * messages of errors are stored with the run, so the key is removed.
   */
  private errorText(text: string): string {
    return inSdkForm(this.apiKey.length < 8 ? text : text.replaceAll(this.apiKey, '[redacted]'));
  }

  /** Waits for calls under way, then closes the connections. */
  async close(): Promise<void> {
    await this.agent.close();
  }
}

function inSdkForm(text: string): string {
  return /^\s*\{\s*"error"\s*:\s*\{/.test(text) ? text : JSON.stringify({ error: errorIn(text) });
}
