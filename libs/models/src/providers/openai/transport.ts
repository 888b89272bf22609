import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Agent, request } from 'undici';
import { errorIn } from './error-body.js';

/**
 * The part of `fetch` that the SDK needs, with keep-alive connections of its own. It costs half the CPU of undici's `fetch`, because a JSON response
 * is read at once instead of through web streams; only an event stream is passed on as one. Redirects are not followed, so the key goes nowhere
 * else. It sets no time limits: the caller's signal does.
 */
export class Transport {
  private readonly agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 30_000, connect: { timeout: 10_000 } });

  constructor(private readonly apiKey: string) {}

  readonly fetch = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { statusCode, headers, body } = await request(url instanceof Request ? url.url : url, {
      dispatcher: this.agent,
      method: init.method as 'POST',
      headers: Object.fromEntries(new Headers(init.headers)),
      body: init.body as string,
      signal: init.signal ?? null,
    });
    const isStream = String(headers['content-type']).startsWith('text/event-stream');
    const content = isStream ? (Readable.toWeb(body) as ReadableStream<Uint8Array>) : this.textOf(statusCode, await body.text());
    return new Response(content, { status: statusCode, headers: headers as Record<string, string> });
  };

  /**
   * Errors are given the form that the SDK reads, because it passes over the reason in any other. Providers repeat a key that they refuse, and the
   * messages of errors are stored with the run, so the key is removed.
   */
  private textOf(statusCode: number, text: string): string | null {
    if (statusCode < 300) return text || null;
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
