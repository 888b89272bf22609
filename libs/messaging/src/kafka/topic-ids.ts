import { createRequire } from 'node:module';
import type { Admin } from 'kafkajs';

/**
 * Adds version 12 of the Metadata request to kafkajs 2.2.4, which knows versions up to 6. From version 10 on, the response has the id of each topic
 * (KIP-516), and kafkajs hands partitions out as they were decoded, so each partition carries the id of its topic and of the cluster.
 * https://kafka.apache.org/protocol.html#The_Messages_Metadata
 */

const require = createRequire(import.meta.url);

interface Decoder {
  readBoolean(): boolean;
  readBytes(length: number): Buffer;
  readInt16(): number;
  readInt32(): number;
  readTaggedFields(): unknown;
  readUVarIntArray<T>(item: (decoder: Decoder) => T): T[] | null;
  readUVarIntString(): string | null;
}

interface Encoder {
  writeBoolean(value: boolean): Encoder;
  writeBuffer(value: Buffer): Encoder;
  writeInt8(value: number): Encoder;
  writeUVarInt(value: number): Encoder;
  writeUVarIntString(value: string): Encoder;
}

interface MetadataArguments {
  topics: readonly string[];
  allowAutoTopicCreation?: boolean;
}

interface MetadataProtocol {
  versions: string[];
  protocol: (options: { version: number }) => (wanted: MetadataArguments) => object;
}

const metadataKey = 3;
const version = 12;
/** The newest version of kafkajs itself. */
const kafkajsVersion = 6;
const topicIdBytes = 16;
/** The id in the response for a topic that was created by a broker without topic ids. */
const noTopicId = Buffer.alloc(topicIdBytes).toString('base64url');

/** Changes kafkajs for the whole process, once. A broker that has only earlier versions is asked in those. */
export function requestTopicIds(): void {
  const definitions = require('kafkajs/src/protocol/requests/metadata/index.js') as MetadataProtocol;
  if (definitions.versions.includes(String(version))) return;
  const { protocol, versions } = definitions;
  const { parse } = require('kafkajs/src/protocol/requests/metadata/v6/response.js') as { parse: unknown };
  definitions.versions = [...versions, String(version)];
  definitions.protocol = (options) =>
    options.version < version
      ? protocol({ version: Math.min(options.version, kafkajsVersion) })
      : (wanted) => ({
          request: { apiKey: metadataKey, apiVersion: version, apiName: 'Metadata', encode: async () => encoded(wanted) },
          response: { decode: async (bytes: Buffer) => decoded(bytes), parse },
        });
}

/** No topics: all of them, as in the versions of kafkajs. */
function encoded({ topics, allowAutoTopicCreation = true }: MetadataArguments): Encoder {
  const KafkajsEncoder = require('kafkajs/src/protocol/encoder.js') as new () => Encoder;
  const encoder = new KafkajsEncoder().writeInt8(0); // tagged fields of the request's header, which kafkajs does not write
  encoder.writeUVarInt(topics.length === 0 ? 0 : topics.length + 1);
  for (const name of topics) encoder.writeBuffer(Buffer.alloc(topicIdBytes)).writeUVarIntString(name).writeInt8(0);
  return encoder.writeBoolean(allowAutoTopicCreation).writeBoolean(false).writeInt8(0); // no authorized operations, no tagged fields
}

function decoded(bytes: Buffer): object {
  const KafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => Decoder;
  const decoder = new KafkajsDecoder(bytes);
  decoder.readTaggedFields(); // of the response's header
  const throttleMs = decoder.readInt32();
  const brokers = decoder.readUVarIntArray(broker);
  const clusterId = decoder.readUVarIntString();
  const controllerId = decoder.readInt32();
  const topicMetadata = decoder.readUVarIntArray((each) => topic(each, clusterId));
  return { throttleTime: 0, clientSideThrottleTime: throttleMs, brokers, clusterId, controllerId, topicMetadata };
}

function broker(decoder: Decoder): object {
  const read = {
    nodeId: decoder.readInt32(),
    host: decoder.readUVarIntString(),
    port: decoder.readInt32(),
    rack: decoder.readUVarIntString(),
  };
  decoder.readTaggedFields();
  return read;
}

function topic(decoder: Decoder, clusterId: string | null): object {
  const topicErrorCode = decoder.readInt16();
  const name = decoder.readUVarIntString();
  const topicId = decoder.readBytes(topicIdBytes).toString('base64url');
  const isInternal = decoder.readBoolean();
  const partitions = decoder.readUVarIntArray(partition) ?? [];
  decoder.readInt32(); // authorized operations
  decoder.readTaggedFields();
  return { topicErrorCode, topic: name, isInternal, partitionMetadata: partitions.map((each) => ({ ...each, topicId, clusterId })) };
}

function partition(decoder: Decoder): object {
  const partitionErrorCode = decoder.readInt16();
  const partitionId = decoder.readInt32();
  const leader = decoder.readInt32();
  decoder.readInt32(); // leader epoch
  const nodes = (): number[] => decoder.readUVarIntArray((each) => each.readInt32()) ?? [];
  const read = { partitionErrorCode, partitionId, leader, replicas: nodes(), isr: nodes(), offlineReplicas: nodes() };
  decoder.readTaggedFields();
  return read;
}

/** The identities that an offset counts in: that of each topic, by its name, and of the cluster. */
export interface LogIdentities {
  readonly topics: Map<string, string>;
  /** Undefined where no broker names one. */
  readonly clusterId: string | undefined;
}

/**
 * The identity of a topic's log is the topic's id, or the cluster's where the topic has none. A topic that was deleted and created again has another
 * one, and so has a topic of the same name on another cluster.
 * @param admin connected
 */
export async function fetchLogIds(admin: Admin, topics: readonly string[]): Promise<LogIdentities> {
  const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] });
  const ids = new Map<string, string>();
  let clusterId: string | undefined;
  for (const { name, partitions } of found) {
    const [first] = partitions as { topicId?: string; clusterId?: string | null }[];
    clusterId ??= first?.clusterId ?? (await admin.describeCluster()).clusterId;
    ids.set(name, first?.topicId !== undefined && first.topicId !== noTopicId ? first.topicId : clusterId);
  }
  return { topics: ids, clusterId };
}
