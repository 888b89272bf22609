import { messageOf } from '#libs/contracts';
import { startTimer } from '#libs/time';
import { gauge } from '#libs/tracing';
import { Injectable } from '@nestjs/common';

/** Resolves if the part can do its work; throws an error with the reason if it cannot. */
export type ReadinessCheck = () => Promise<void> | void;

/** `degraded`: a part does not work, and the process is ready all the same. */
export type ReadinessStatus = 'ok' | 'degraded' | 'unavailable';

interface Part {
  readonly check: ReadinessCheck;
  readonly isShared: boolean;
}

const works = gauge('millrace_part_ready', '1 if this part of the process works, 0 if it does not; /readyz has the reason.', {
  part: 'what the process needs: log, storage, consumers, …',
});

/** The checks behind `/readyz`. Each part of a process registers its own check at start. */
@Injectable()
export class Readiness {
  private readonly parts = new Map<string, Part>();

  /**
   * @param toleratesShared true for a process with a door: it stays ready without what all its replicas share. If all of them became unready together,
   * no replica would be left to answer 503 with `Retry-After`, and the callers would hear from the load balancer only.
   */
  constructor(private readonly toleratesShared = false) {}

  register(part: string, check: ReadinessCheck): void {
    this.parts.set(part, { check, isShared: false });
  }

  /** Registers the check of a part that all replicas of the service share, such as the log. */
  registerShared(part: string, check: ReadinessCheck): void {
    this.parts.set(part, { check, isShared: true });
  }

  /** Removes the check of a part. */
  withdraw(part: string): void {
    this.parts.delete(part);
    works.remove({ part });
  }

  /** Runs all checks. `parts` has `ok` or the reason for each part; a check that takes longer than two seconds counts as failed. */
  async report(): Promise<{ status: ReadinessStatus; parts: Record<string, string> }> {
    const results = await Promise.all(
      [...this.parts].map(async ([part, { check, isShared }]) => ({ part, isShared, result: await resultOf(check) })),
    );
    for (const { part, result } of results) if (this.parts.has(part)) works.set({ part }, result === 'ok' ? 1 : 0);
    const failed = results.filter(({ result }) => result !== 'ok');
    const isTolerated = this.toleratesShared && failed.every(({ isShared }) => isShared);
    return {
      status: failed.length === 0 ? 'ok' : isTolerated ? 'degraded' : 'unavailable',
      parts: Object.fromEntries(results.map(({ part, result }) => [part, result])),
    };
  }
}

const deadlineMs = 2_000;

async function resultOf(check: ReadinessCheck): Promise<string> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = startTimer(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  try {
    await Promise.race([check(), deadline]);
    return 'ok';
  } catch (error) {
    return messageOf(error);
  } finally {
    clearTimeout(timer);
  }
}
