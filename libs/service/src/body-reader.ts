import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DomainError } from '#libs/contracts';
import { startInterval } from '#libs/time';
import { counter, gauge } from '#libs/tracing';
import { GrowingBytes } from './growing-bytes.js';
import { BodiesExhausted, BodyTooSlow, ContentEncodingUnsupported, RequestTooLarge } from './request.errors.js';

export interface BodyLimits {
  /** The largest body, bytes. */
  readonly limitBytes: number;
  /** Bytes of bodies that the process holds at most, of all requests together. At least `limitBytes`. */
  readonly bufferBytes: number;
  /** How long one body may take. */
  readonly timeoutMs: number;
  /** A body that brings less than this in a while is given up. 0: only `timeoutMs` ends it. */
  readonly minBytesPerSecond: number;
}

/** How often unfinished bodies are looked at. A slow one is given up after one to two of these. */
const longestWatchMs = 5_000;

/** How long a body may hold its bytes before it has to make room for others, where there is none. */
const patienceMs = 2_000;

const buffered = gauge('millrace_http_body_bytes', 'Bytes of request bodies that the process holds.', {});
const refused = counter(
  'millrace_http_bodies_refused_total',
  'Request bodies that were given up before their end, by the code of the response.',
  { code: 'a code of failures.md' },
);

interface UnfinishedBody {
  readonly startedAt: number;
  readonly bytes: GrowingBytes;
  bytesSinceWatched: number;
  isNew: boolean;
  readonly fail: (error: DomainError) => void;
}

/**
 * Reads the bodies of requests under limits that hold for a process: of one body, of all bodies together, and of the time that a body takes. It is
 * asked only after the head of a request was accepted, so a request that is refused by its address or key costs no memory.
 */
export class BodyReader {
  /** In the order of their beginning. */
  private readonly unfinished = new Set<UnfinishedBody>();
  private readonly releases = new WeakMap<ServerResponse, () => void>();
  private readonly watchMs: number;
  private bufferedBytes = 0;
  private watch: NodeJS.Timeout | undefined;

  /** @throws Error if not even one body fits */
  constructor(private readonly limits: BodyLimits) {
    if (limits.bufferBytes < limits.limitBytes) {
      throw new Error(`BODY_BUFFER_BYTES (${limits.bufferBytes}) must not be less than BODY_LIMIT_BYTES (${limits.limitBytes})`);
    }
    this.watchMs = Math.min(longestWatchMs, limits.timeoutMs);
  }

  /**
   * Undefined if the caller closes the connection before the end of the body. The bytes count against the buffer until the response is closed, or
   * {@link release} is called.
   * @param limitTimes a body may be this many times as large as the limit of one body
   * @throws ContentEncodingUnsupported, RequestTooLarge, BodiesExhausted, BodyTooSlow
   */
  async read(request: IncomingMessage, response: ServerResponse, limitTimes = 1): Promise<Buffer | undefined> {
    const limitBytes = Math.min(this.limits.limitBytes * limitTimes, this.limits.bufferBytes);
    try {
      this.refuseByHead(request, limitBytes);
      if (request.headers.expect !== undefined && !request.complete) response.writeContinue();
      return await this.readAll(request, response, limitBytes);
    } catch (error) {
      refused.inc({ code: (error as DomainError).code });
      throw error;
    }
  }

  /** Says that the body of this request is not used any more. A caller who does not read the response would hold it for longer. */
  release(response: ServerResponse): void {
    this.releases.get(response)?.();
  }

  private refuseByHead({ headers }: IncomingMessage, limitBytes: number): void {
    const coding = headers['content-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'identity' && coding !== '') throw new ContentEncodingUnsupported(coding);
    const announced = Number(headers['content-length'] ?? 0);
    if (announced > limitBytes) throw new RequestTooLarge(limitBytes);
    if (!this.hasRoom(announced)) throw new BodiesExhausted();
  }

  private readAll(request: IncomingMessage, response: ServerResponse, limitBytes: number): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      const announced = Number(request.headers['content-length'] ?? limitBytes);
      const bytes = new GrowingBytes();
      let heldBytes = 0;
      const release = (): void => {
        this.hold(-heldBytes);
        heldBytes = 0;
      };
      const body: UnfinishedBody = {
        startedAt: performance.now(),
        bytes,
        bytesSinceWatched: 0,
        isNew: true,
        fail: (error) => {
          request.off('data', take);
          bytes.take();
          this.unfinished.delete(body);
          release();
          reject(error);
        },
      };
      const take = (chunk: Buffer): void => {
        if (bytes.length + chunk.length > limitBytes) return body.fail(new RequestTooLarge(limitBytes));
        if (!this.hasRoom(chunk.length, body)) return body.fail(new BodiesExhausted());
        bytes.append(chunk, announced);
        body.bytesSinceWatched += chunk.length;
        heldBytes += chunk.length;
        this.hold(chunk.length);
      };
      this.unfinished.add(body);
      this.watch ??= startInterval(() => this.endSlow(), this.watchMs).unref();
      request.on('data', take);
      request.on('end', () => {
        this.unfinished.delete(body);
        resolve(bytes.take());
      });
      request.on('error', () => {
        this.unfinished.delete(body);
        resolve(undefined);
      });
      this.releases.set(response, release);
      response.once('close', release);
    });
  }

  /**
   * True if so many bytes more can be held. Where they cannot, the bodies that began first give way, so that who sends slowly holds up nobody.
   * @param asking its body; it gives way to none that began after it
   */
  private hasRoom(bytes: number, asking?: UnfinishedBody): boolean {
    const isEnough = (): boolean => this.bufferedBytes + bytes <= this.limits.bufferBytes;
    if (isEnough()) return true;
    const before = performance.now() - patienceMs;
    for (const body of this.unfinished) {
      if (body === asking || body.startedAt > before) return false;
      if (body.bytes.length > 0) body.fail(new BodiesExhausted());
      if (isEnough()) return true;
    }
    return false;
  }

  private hold(bytes: number): void {
    this.bufferedBytes += bytes;
    buffered.set(this.bufferedBytes);
  }

  /** One timer serves all bodies, because most of them have ended before it is due. */
  private endSlow(): void {
    const { timeoutMs, minBytesPerSecond } = this.limits;
    const leastBytes = (minBytesPerSecond * this.watchMs) / 1_000;
    const now = performance.now();
    for (const body of this.unfinished) {
      const isSlow = !body.isNew && body.bytesSinceWatched < leastBytes;
      if (isSlow || now - body.startedAt >= timeoutMs) body.fail(new BodyTooSlow(timeoutMs, minBytesPerSecond));
      body.isNew = false;
      body.bytesSinceWatched = 0;
    }
    if (this.unfinished.size > 0) return;
    clearInterval(this.watch);
    this.watch = undefined;
  }
}
