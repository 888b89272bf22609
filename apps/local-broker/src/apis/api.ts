import type { FetchSessions } from '../fetching/fetch-sessions.js';
import type { ConsumerGroups } from '../groups/consumer-groups.js';
import type { TopicStore } from '../log/topic-store.js';
import type { WireReader } from '../wire/wire-reader.js';
import type { WireWriter } from '../wire/wire-writer.js';

/** The broker state that requests read and change. */
export interface Broker {
  readonly topics: TopicStore;
  readonly groups: ConsumerGroups;
  readonly fetchSessions: FetchSessions;
  /** Unique per log directory. */
  readonly clusterId: string;
  /** Address under which clients reach this broker. */
  readonly host: string;
  readonly port: number;
  /** Aborted when the broker stops; every waiting request ends then. */
  readonly stopping: AbortSignal;
}

export interface RequestContext {
  readonly clientId: string;
  readonly version: number;
}

/** One kind of request, in the versions that kafkajs and `libs/messaging` speak. Clients choose their versions by the ApiVersions response. */
export interface Api {
  /** https://kafka.apache.org/protocol.html#protocol_api_keys */
  readonly key: number;
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  /** From this version on, strings and arrays are compact, and both headers end with tagged fields (KIP-482). Default: in no version. */
  readonly flexibleFrom?: number;
  /** Returns the response; undefined if the client wants none. */
  handle(request: WireReader, broker: Broker, context: RequestContext): Promise<WireWriter | undefined>;
}

/** The only node there is. */
export const nodeId = 1;
