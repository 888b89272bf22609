import { ensureTopics } from '#libs/messaging';
import { takesConnections } from '#libs/ports';
import { sleep } from '#libs/time';

const startDeadlineMs = 60_000;

/**
 * Waits until the broker responds to a client.
 * @throws Error with what it `printed`, where it does not in time or `hasEnded`
 */
export async function answersOr(address: string, printed: () => Promise<string>, hasEnded: () => boolean = () => false): Promise<void> {
  const deadline = performance.now() + startDeadlineMs;
  for (;;) {
    const failure = await refusalOf(address);
    if (failure === undefined) return;
    if (hasEnded() || performance.now() > deadline) {
      const log = (await printed().catch(() => '')).slice(-2_000);
      const what = hasEnded() ? 'ended while it started' : `did not answer on ${address} within ${startDeadlineMs / 1_000} s`;
      throw new Error(`Kafka ${what}. It printed:\n${log}`, { cause: failure });
    }
    await sleep(200);
  }
}

/** Undefined where the broker answers, else why not. */
async function refusalOf(address: string): Promise<unknown> {
  if (!(await takesConnections(Number(address.split(':')[1])))) return new Error(`nothing listens on ${address}`);
  return ensureTopics({ brokers: [address], clientId: 'tools' }, []).then(
    () => undefined,
    (error: unknown) => error,
  );
}
