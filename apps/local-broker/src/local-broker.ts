import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { join } from 'node:path';
import { isLoopback } from '#libs/ports';
import { wallTimeMs } from '#libs/time';
import { logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import type { Broker } from './apis/api.js';
import { serveConnection } from './connection.js';
import { FetchSessions } from './fetching/fetch-sessions.js';
import { CommittedOffsets } from './groups/committed-offsets.js';
import { ConsumerGroups } from './groups/consumer-groups.js';
import { lockDirectory } from './log/directory-lock.js';
import { replaceFile } from './log/durable-file.js';
import type { OpenFile } from './log/durable-file.js';
import { TopicStore } from './log/topic-store.js';

export interface LocalBrokerOptions {
  /** Directory of the log, created if missing. Only one broker at a time may use it. */
  directory: string;
  /** Default 0: a free port. */
  port?: number;
  /** A loopback address; default 127.0.0.1. */
  host?: string;
  /** Size of all topics together from which on the oldest records are deleted. Default 4 GiB. */
  retentionBytes?: number;
  /** Default: Node's `open`. */
  openFile?: OpenFile;
  /** Default: the system clock. */
  nowMs?: () => number;
}

export interface LocalBroker {
  /** `host:port`: the bootstrap address. */
  readonly address: string;
  /** Applies retention now instead of at its next interval (one minute). */
  applyRetention(): Promise<void>;
  /** Closes all connections, completes the appends under way and releases the directory. */
  stop(): Promise<void>;
}

const retentionIntervalMs = 60_000;
/** Kafka's `offsets.retention.check.interval.ms`. Members have rejoined by then after a restart. */
const offsetsRetentionIntervalMs = 600_000;

/** Enough for days of events on a laptop, without filling its disk. */
const defaultRetentionBytes = 4 * 1_024 ** 3;

const log = logger('local-broker');

/**
 * Starts the embedded log: the part of Kafka's protocol that kafkajs uses, over durable files. It has one node and no TLS, credentials,
 * transactions or compaction. It is not for production, so it listens on loopback only.
 * @throws Error if the port is taken, the address is not loopback, or another broker uses the directory
 */
export async function startLocalBroker(options: LocalBrokerOptions): Promise<LocalBroker> {
  const { directory, host = '127.0.0.1', port = 0 } = options;
  if (!isLoopback(host)) {
    throw new Error(`The local broker has no credentials and listens on loopback only (127.0.0.1, ::1, localhost), not on ${host}`);
  }
  await mkdir(directory, { recursive: true });
  /** Close functions of what is open so far, called in the opposite order by a stop or a failed start. */
  const opened: (() => Promise<void> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close();
  };
  try {
    const lock = lockDirectory(directory);
    opened.push(() => lock.release());
    const { openFile, nowMs = wallTimeMs } = options;
    const topics = await TopicStore.open({
      directory,
      retentionBytes: options.retentionBytes ?? defaultRetentionBytes,
      onNote: (note, error) => log.warn({ err: error }, note),
      nowMs,
      ...(openFile && { openFile }),
    });
    opened.push(() => topics.close());
    const offsets = await CommittedOffsets.open(join(directory, 'committed-offsets.jsonl'), { nowMs, ...(openFile && { openFile }) });
    const groups = new ConsumerGroups(offsets);
    opened.push(() => groups.close());
    const stopping = new AbortController();
    const clusterId = await clusterIdOf(directory);
    const fetchSessions = new FetchSessions();
    const parts = { topics, groups, fetchSessions, clusterId, stopping: stopping.signal };
    const listener = await listen(host, port, (address) => ({ ...parts, ...address }));
    opened.push(() => listener.close());
    const chores = [
      new Periodically('retention', retentionIntervalMs, () => topics.applyRetention()),
      new Periodically('retention of offsets', offsetsRetentionIntervalMs, async () => {
        for (const group of await groups.expire(nowMs())) log.warn({ group }, 'forgot the offsets of a group that nobody used for a week');
      }),
    ];
    for (const chore of chores) chore.start();
    opened.push(async () => {
      stopping.abort();
      await Promise.all(chores.map((chore) => chore.stop()));
    });
    const address = `${listener.host.includes(':') ? `[${listener.host}]` : listener.host}:${listener.port}`;
    return { address, applyRetention: () => topics.applyRetention(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Created once per directory, like Kafka's, so that clients can tell that a log was replaced by an empty one. */
async function clusterIdOf(directory: string): Promise<string> {
  const file = join(directory, 'cluster-id');
  const existing = await readFile(file, 'utf8').catch(() => '');
  if (existing !== '') return existing;
  const made = randomBytes(16).toString('base64url');
  await replaceFile(file, made);
  return made;
}

interface Listener {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

async function listen(host: string, port: number, brokerAt: (address: { host: string; port: number }) => Broker): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer();
  await bind(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  const broker = brokerAt({ host, port: bound });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', (error) => log.debug({ err: error }, 'a connection broke'));
    serveConnection(socket, broker)
      .catch((error: unknown) => {
        if (!broker.stopping.aborted && !socket.errored) log.warn({ err: error }, 'a connection was closed');
      })
      .finally(() => socket.destroy());
  });
  return {
    host,
    port: bound,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function bind(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new Error(
      `Port ${port} on ${host} is taken: another broker, or something else, listens there. Stop it, or set another LOCAL_BROKER_PORT.`,
      { cause: error },
    );
  }
}
