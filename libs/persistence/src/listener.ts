import { escapeIdentifier } from 'pg';
import { startTimer, waitAtMost } from '#libs/time';
import { logger } from '#libs/tracing';
import { DatabaseClient } from './database-client.js';
import type { DatabaseClientConfig } from './database-client.js';

/** A channel that is being listened to. */
export interface Subscription {
  close(): Promise<void>;
}

const firstDelayMs = 100;
const maxDelayMs = 5_000;
/** A server that does not answer is not waited for. */
const farewellMs = 1_000;
const log = logger('persistence');

/** See {@link Database.listen}. */
export async function listen(
  connection: DatabaseClientConfig,
  channel: string,
  onNotice: (payload: string) => void,
  onLost: () => void,
): Promise<Subscription> {
  let client: DatabaseClient | undefined;
  let reconnect: NodeJS.Timeout | undefined;
  let delayMs = firstDelayMs;
  let closed = false;

  const connect = async (): Promise<void> => {
    const candidate = new DatabaseClient(connection);
    const lost = (): void => {
      if (closed || client !== candidate) return;
      client = undefined;
      log.warn({ channel }, 'the connection that listens to Postgres broke');
      onLost();
      retryLater();
    };
    candidate.on('error', lost).on('end', lost);
    candidate.on('notification', (notice) => onNotice(notice.payload ?? ''));
    try {
      await candidate.connect();
      await candidate.query(`LISTEN ${escapeIdentifier(channel)}`);
    } catch {
      candidate.end(() => undefined); // not awaited: of a client that never connected it never resolves
      if (!closed) retryLater();
      return;
    }
    if (closed) return candidate.end();
    client = candidate;
    delayMs = firstDelayMs;
    onNotice('');
  };

  const retryLater = (): void => {
    reconnect = startTimer(() => void connect(), delayMs);
    delayMs = Math.min(delayMs * 2, maxDelayMs);
  };

  await connect();
  return {
    async close() {
      closed = true;
      clearTimeout(reconnect);
      await waitAtMost(farewellMs, client?.end());
    },
  };
}
