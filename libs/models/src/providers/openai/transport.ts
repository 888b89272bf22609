import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Agent, request } from 'undici';
import type { Dispatcher } from 'undici';
import type { ModelUnavailable } from '../../model.errors.js';
import { unreadable } from './answer-body.js';
import { cutOff, isPage, limitedEvents, pageAnswers, pageStartBytes, readBody, startOf } from './body-limits.js';
import { errorIn } from './error-body.js';
import { encodingOf, exchange } from './exchange.js';
import type { PreparedHead } from './exchange.js';
import { WholeAnswer } from './whole-answer.js';

/** How connections to models are kept: without limits of time, because the caller's signal sets one for each call. */
export const modelConnections = Object.freeze({
  headersTimeout: 0,
  bodyTimeout: 0,
  keepAliveTimeout: 30_000,
  connect: { timeout: 10_000 },
});
/** A shorter text is no secret, and would be removed from words. */
const shortestSecret = 8;

type ResponseData = Dispatcher.ResponseData;

/**
 * Sends the SDK's requests over keep-alive connections of its own. Redirects are not followed, so the key goes nowhere else. Every body has a limit of
 * size (`body-limits.ts`), and none is decompressed. It sets no time limits: the caller's signal does.
 */
export class Transport {
  private readonly agent: Agent;
  private readonly secrets: readonly string[];

  /**
   * @param credentials values of headers that no message may repeat
   * @param agent makes the connections; default: to every address
   */
  constructor(credentials: readonly string[], agent?: Agent) {
    this.agent = agent ?? new Agent(modelConnections);
    this.secrets = credentials.filter(({ length }) => length >= shortestSecret);
  }

  /** Makes the part that all requests to this address with this method and these headers share. */
  headOf(method: string, url: string, headers: Headers): PreparedHead {
    const { origin, pathname, search } = new URL(url);
    return {
      method,
      origin,
      path: pathname + search,
      headers: Object.entries(sentHeaders(headers)).flat(),
    };
  }

  /**
   * Sends a request and reads the answer whole, also if it is an event stream.
   * @throws ModelFailure for a body of a success that is not read: it is too large, or compressed
   */
  async send(head: PreparedHead, body: string | undefined, signal: AbortSignal): Promise<Response> {
    const { status, headers, bytes, isWhole } = await exchange(this.agent, head, body, signal);
    const encoding = encodingOf(headers);
    if (status >= 300) {
      const text = this.errorText(encoding === undefined ? bytes.toString('utf8') : compressedError);
      return new Response(text, { status, headers: headers as Record<string, string> });
    }
    const providerRequestId = headers['x-request-id']?.toString();
    if (encoding !== undefined) throw compressed(encoding, providerRequestId);
    if (!isWhole) throw cutOff(bytes, providerRequestId);
    return new WholeAnswer(status, headers, bytes) as unknown as Response;
  }

  /** The part of `fetch` that the SDK needs for a request whose answer is an event stream, which is passed on. */
  readonly fetch = async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const signal = init.signal ?? null;
    const sent = request(url instanceof Request ? url.url : url, {
      dispatcher: this.agent,
      method: init.method as 'POST',
      headers: sentHeaders(init.headers),
      body: init.body as string,
      signal,
    });
    // Raced, because undici looks at the signal only once it is connected.
    const { statusCode, headers, body } = await (signal === null ? sent : Promise.race([sent, rejectionOn(signal)]));
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
    const encoding = encodingOf(headers);
    if (encoding !== undefined) body.on('error', () => undefined).destroy();
    if (status >= 300) return this.errorText(encoding === undefined ? await startOf(body) : compressedError);
    const providerRequestId = headers['x-request-id']?.toString();
    if (encoding !== undefined) throw compressed(encoding, providerRequestId);
    if (String(headers['content-type']).startsWith('text/event-stream')) {
      return (Readable.toWeb(body) as ReadableStream<Uint8Array>).pipeThrough(limitedEvents(providerRequestId));
    }
    const content = await readBody(body, providerRequestId);
    if (isPage(content.toString('utf8', 0, pageStartBytes))) throw pageAnswers(providerRequestId);
    return content.length === 0 ? null : content;
  }

  /**
   * Errors are given the form that the SDK reads, because it passes over the reason in any other. Providers repeat a key that they refuse, and the
   * messages of errors are stored with the run, so keys are removed.
   */
  private errorText(text: string): string {
    return inSdkForm(this.secrets.reduce((redacted, secret) => redacted.replaceAll(secret, '[redacted]'), text));
  }

  /** Waits for calls under way, then closes the connections. */
  async close(): Promise<void> {
    await this.agent.close();
  }
}

/** Stands for the body of an error that is not read. */
const compressedError = 'a compressed body';

function compressed(encoding: string, providerRequestId: string | undefined): ModelUnavailable {
  return unreadable(`it is compressed (${encoding.slice(0, 50)}), which was not asked for`, { providerRequestId });
}

function rejectionOn(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  return promise;
}

function sentHeaders(headers: RequestInit['headers']): Record<string, string> {
  // Without the field, any encoding would be acceptable (RFC 9110 §12.5.3).
  return { ...Object.fromEntries(new Headers(headers)), 'accept-encoding': 'identity' };
}

function inSdkForm(text: string): string {
  return /^\s*\{\s*"error"\s*:\s*\{/.test(text) ? text : JSON.stringify({ error: errorIn(text) });
}
