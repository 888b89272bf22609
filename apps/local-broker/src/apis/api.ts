import type { ConsumerGroups } from '../groups/consumer-groups.js';
import type { TopicStore } from '../log/topic-store.js';
import type { WireReader } from '../wire/wire-reader.js';
import type { WireWriter } from '../wire/wire-writer.js';

/** What the requests work on. */
export interface Broker {
  readonly topics: TopicStore;
  readonly groups: ConsumerGroups;
  /** Of this log: another folder is another cluster. */
  readonly clusterId: string;
  /** Where clients reach this broker. */
  readonly host: string;
  readonly port: number;
  /** Aborted when the broker stops: nothing waits on. */
  readonly stopping: AbortSignal;
}

export interface RequestContext {
  readonly clientId: string;
  readonly version: number;
}

/** One kind of request. One version each, the newest that kafkajs speaks: clients choose by what ApiVersions offers. */
export interface Api {
  /** https://kafka.apache.org/protocol.html#protocol_api_keys */
  readonly key: number;
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** Writes the response; undefined where the client wants none. */
  handle(request: WireReader, broker: Broker, context: RequestContext): Promise<WireWriter | undefined>;
}

/** The only node there is. */
export const nodeId = 1;
