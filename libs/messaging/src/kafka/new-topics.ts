import { sleep } from '#libs/time';

const appearanceDeadlineMs = 10_000;
const notThereYet = ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'];

/**
 * Asks again until the broker that is asked knows all topics and their leaders, at most 10 s: each broker of Kafka hears of a new topic some time after the
 * controller has created it. kafkajs asks a broker of its own choice each time, and gives up at once where that one does not know the topic yet.
 */
export async function untilKnown<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + appearanceDeadlineMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const { type, cause } = error as { type?: string; cause?: { type?: string } };
      if (!notThereYet.includes(type ?? cause?.type ?? '') || performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
