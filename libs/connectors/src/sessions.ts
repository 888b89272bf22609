import { hash } from 'node:crypto';
import { startTimer } from '#libs/time';
import type { DriverUse } from './driver.js';
import type { OperationFailure } from './operation.errors.js';

/** A session ended before anything was sent on it that could take effect. A session that was kept may have been ended by the system meanwhile. */
export class SessionLost extends Error {
  /** @param failure the failure of the operation, if no other session can take its place */
  constructor(readonly failure: OperationFailure) {
    super(failure.message);
  }
}

export interface SessionKind<S> {
  /** @throws OperationFailure, the signal's reason */
  open(use: DriverUse): Promise<S>;
  /** Ends it at once. */
  close(session: S): void;
  isUsable(session: S): boolean;
  /** Makes it as new, after a use; default: nothing has to be done. A session with which that fails is closed. */
  refresh?(session: S): Promise<void>;
}

export interface SessionsOptions {
  /** How long a session without use is kept, in ms. */
  readonly idleMs: number;
  /** How many of one connection are kept at most. Further ones end after their use. */
  readonly mostIdle: number;
}

interface Idle<S> {
  readonly session: S;
  /** True once it is as new; false if that failed, and it is closed. */
  readonly ready: Promise<boolean>;
  readonly timer: NodeJS.Timeout;
}

/** Open sessions with systems, kept between uses. One is used by one operation at a time, and only by the connection and credential that opened it. */
export class Sessions<S> {
  private readonly idle = new Map<string, Idle<S>[]>();
  private readonly busy = new Set<S>();
  private isClosed = false;

  constructor(
    private readonly kind: SessionKind<S>,
    private readonly options: SessionsOptions,
  ) {}

  /**
   * Does the work with a session, and with a new one if a kept one had ended. The session is kept only if the work succeeds.
   * @throws OperationFailure, and as the work does
   */
  async use<T>(use: DriverUse, work: (session: S) => Promise<T>): Promise<T> {
    const key = keyOf(use);
    const begin = (session: S): Promise<T> => {
      use.requireClaim?.();
      return work(session);
    };
    const kept = await this.take(key);
    if (kept !== undefined) {
      try {
        return await this.useOnce(key, kept, begin);
      } catch (error) {
        if (!(error instanceof SessionLost)) throw error;
      }
    }
    try {
      return await this.useOnce(key, await this.kind.open(use), begin);
    } catch (error) {
      throw error instanceof SessionLost ? error.failure : error;
    }
  }

  /** Ends all sessions, those in use too. */
  async close(): Promise<void> {
    this.isClosed = true;
    const idle = [...this.idle.values()].flat();
    this.idle.clear();
    for (const session of this.busy) this.kind.close(session);
    for (const { session, ready, timer } of idle) {
      clearTimeout(timer);
      if (await ready) this.kind.close(session);
    }
  }

  private async take(key: string): Promise<S | undefined> {
    const idle = this.idle.get(key) ?? [];
    for (let last = idle.pop(); last !== undefined; last = idle.pop()) {
      clearTimeout(last.timer);
      if ((await last.ready) && this.kind.isUsable(last.session)) return last.session;
      this.kind.close(last.session);
    }
    this.idle.delete(key);
    return undefined;
  }

  private async useOnce<T>(key: string, session: S, work: (session: S) => Promise<T>): Promise<T> {
    this.busy.add(session);
    let isKept = false;
    try {
      const result = await work(session);
      isKept = true;
      return result;
    } finally {
      this.busy.delete(session);
      if (isKept) this.keep(key, session);
      else this.kind.close(session);
    }
  }

  /** The result of the operation does not wait until the session is as new; its next use does. */
  private keep(key: string, session: S): void {
    const { idleMs, mostIdle } = this.options;
    const idle = this.idle.get(key) ?? [];
    if (this.isClosed || idle.length >= mostIdle || !this.kind.isUsable(session)) return this.kind.close(session);
    const ready = (this.kind.refresh?.(session) ?? Promise.resolve()).then(
      () => true,
      () => {
        this.kind.close(session);
        return false;
      },
    );
    const entry = { session, ready, timer: startTimer(() => this.end(key, entry), idleMs).unref() };
    this.idle.set(key, [...idle, entry]);
  }

  private end(key: string, entry: Idle<S>): void {
    const left = (this.idle.get(key) ?? []).filter((other) => other !== entry);
    if (left.length === 0) this.idle.delete(key);
    else this.idle.set(key, left);
    this.kind.close(entry.session);
  }
}

/** Sessions of another tenant, connection, credential or setting are never shared. */
function keyOf({ connection: { tenant, name }, settings, login }: DriverUse): string {
  return hash('sha256', JSON.stringify([tenant, name, settings, login]));
}
