import { messageOf } from '#libs/contracts';
import { Injectable } from '@nestjs/common';

/** Resolves when the part can do its work, and throws with the reason when not. */
export type ReadinessCheck = () => Promise<void> | void;

/** What `/readyz` asks. Each part registers its own check at start. */
@Injectable()
export class Readiness {
  private readonly checks = new Map<string, ReadinessCheck>();

  register(part: string, check: ReadinessCheck): void {
    this.checks.set(part, check);
  }

  /** It is asked for no more. */
  withdraw(part: string): void {
    this.checks.delete(part);
  }

  /** Each part's answer: `ok`, or why not. A check that does not answer within two seconds is not ready. */
  async report(): Promise<{ ready: boolean; parts: Record<string, string> }> {
    const answers = await Promise.all([...this.checks].map(async ([part, check]) => [part, await answerOf(check)] as const));
    return { ready: answers.every(([, answer]) => answer === 'ok'), parts: Object.fromEntries(answers) };
  }
}

const deadlineMs = 2_000;

async function answerOf(check: ReadinessCheck): Promise<string> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  try {
    await Promise.race([check(), deadline]);
    return 'ok';
  } catch (error) {
    return messageOf(error);
  } finally {
    clearTimeout(timer);
  }
}
