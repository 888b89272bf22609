import { messageOf } from '#libs/contracts';
import { startTimer } from '#libs/time';
import { Injectable } from '@nestjs/common';

/** Resolves if the part can do its work; throws an error with the reason if it cannot. */
export type ReadinessCheck = () => Promise<void> | void;

/** The checks behind `/readyz`. Each part of a process registers its own check at start. */
@Injectable()
export class Readiness {
  private readonly checks = new Map<string, ReadinessCheck>();

  register(part: string, check: ReadinessCheck): void {
    this.checks.set(part, check);
  }

  /** Removes the check of a part. */
  withdraw(part: string): void {
    this.checks.delete(part);
  }

  /** Runs all checks. `parts` has `ok` or the reason for each part; a check that takes longer than two seconds counts as failed. */
  async report(): Promise<{ ready: boolean; parts: Record<string, string> }> {
    const results = await Promise.all([...this.checks].map(async ([part, check]) => [part, await resultOf(check)] as const));
    return { ready: results.every(([, result]) => result === 'ok'), parts: Object.fromEntries(results) };
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
