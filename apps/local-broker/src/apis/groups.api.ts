import type { CommittedOffset } from '../groups/committed-offsets.js';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import { nodeId } from './api.js';
import type { Api } from './api.js';

export const findCoordinator: Api = {
  key: 10,
  name: 'FindCoordinator',
  minVersion: 2,
  maxVersion: 2,
  async handle(_request, { host, port }) {
    return new WireWriter().int32(0).int16(errorCodes.none).string(null).int32(nodeId).string(host).int32(port);
  },
};

export const joinGroup: Api = {
  key: 11,
  name: 'JoinGroup',
  minVersion: 5,
  maxVersion: 5,
  async handle(request, { groups }, { clientId }) {
    const groupId = request.string();
    const sessionTimeoutMs = request.int32();
    const rebalanceTimeoutMs = request.int32();
    const memberId = request.string();
    request.nullableString(); // group instance id: there is no static membership here
    request.string(); // protocol type
    const protocols = request.array(() => ({ name: request.string(), metadata: request.buffer() }));
    const joined = await groups.join(groupId, { memberId, clientId, sessionTimeoutMs, rebalanceTimeoutMs, protocols });
    const response = new WireWriter().int32(0).int16(joined.error).int32(joined.generation);
    response.string(joined.protocol).string(joined.leaderId).string(joined.memberId);
    return response.array(joined.members, (member) => response.string(member.memberId).string(null).buffer(member.metadata));
  },
};

export const syncGroup: Api = {
  key: 14,
  name: 'SyncGroup',
  minVersion: 3,
  maxVersion: 3,
  async handle(request, { groups }) {
    const groupId = request.string();
    const generation = request.int32();
    const memberId = request.string();
    request.nullableString(); // group instance id
    const assignments = new Map(request.array(() => [request.string(), request.buffer()] as const));
    const { error, assignment } = await groups.sync(groupId, memberId, generation, assignments);
    return new WireWriter().int32(0).int16(error).buffer(assignment);
  },
};

export const heartbeat: Api = {
  key: 12,
  name: 'Heartbeat',
  minVersion: 3,
  maxVersion: 3,
  async handle(request, { groups }) {
    const groupId = request.string();
    const generation = request.int32();
    return new WireWriter().int32(0).int16(groups.heartbeat(groupId, request.string(), generation));
  },
};

export const leaveGroup: Api = {
  key: 13,
  name: 'LeaveGroup',
  minVersion: 3,
  maxVersion: 3,
  async handle(request, { groups }) {
    const groupId = request.string();
    const members = request.array(() => ({ memberId: request.string(), instanceId: request.nullableString() }));
    const response = new WireWriter().int32(0).int16(errorCodes.none);
    return response.array(members, ({ memberId, instanceId }) => {
      response.string(memberId).string(instanceId).int16(groups.leave(groupId, memberId));
    });
  },
};

export const offsetCommit: Api = {
  key: 8,
  name: 'OffsetCommit',
  minVersion: 5,
  maxVersion: 5,
  async handle(request, { groups, topics }) {
    const group = request.string();
    const generation = request.int32();
    const memberId = request.string();
    const offsets = request
      .array(() => ({
        topic: request.string(),
        partitions: request.array(() => ({ partition: request.int32(), offset: request.int64(), metadata: request.nullableString() })),
      }))
      .flatMap(({ topic, partitions }) =>
        partitions.map((each): CommittedOffset => ({ group, topic, ...each, metadata: each.metadata ?? '' })),
      );
    const known = offsets.filter(({ topic, partition }) => topics.partition(topic, partition) !== undefined);
    const errors = await groups.commit(group, memberId, generation, known);
    const errorOf = new Map(known.map((offset, at) => [offset, errors[at]!]));
    const response = new WireWriter().int32(0);
    return response.array([...Map.groupBy(offsets, ({ topic }) => topic)], ([topic, ofTopic]) => {
      response.string(topic).array(ofTopic, (offset) => {
        response.int32(offset.partition).int16(errorOf.get(offset) ?? errorCodes.unknownTopicOrPartition);
      });
    });
  },
};

/** The protocol type of consumers. */
const consumers = 'consumer';

export const listGroups: Api = {
  key: 16,
  name: 'ListGroups',
  minVersion: 2,
  maxVersion: 2,
  async handle(_request, { groups }) {
    const response = new WireWriter().int32(0).int16(errorCodes.none);
    return response.array(groups.names(), (groupId) => response.string(groupId).string(consumers));
  },
};

export const describeGroups: Api = {
  key: 15,
  name: 'DescribeGroups',
  minVersion: 2,
  maxVersion: 2,
  async handle(request, { groups, host }) {
    const wanted = request.array(() => request.string());
    const response = new WireWriter().int32(0);
    return response.array(wanted, (groupId) => {
      const { state, protocol, members } = groups.describe(groupId);
      response
        .int16(errorCodes.none)
        .string(groupId)
        .string(state)
        .string(state === 'Dead' ? '' : consumers)
        .string(protocol);
      response.array(members, ({ memberId, clientId, metadata, assignment }) => {
        response.string(memberId).string(clientId).string(`/${host}`).buffer(metadata).buffer(assignment);
      });
    });
  },
};

export const deleteGroups: Api = {
  key: 42,
  name: 'DeleteGroups',
  minVersion: 1,
  maxVersion: 1,
  async handle(request, { groups }) {
    const wanted = request.array(() => request.string());
    const deleted: [groupId: string, error: ErrorCode][] = [];
    for (const groupId of wanted) deleted.push([groupId, await groups.delete(groupId)]);
    const response = new WireWriter().int32(0);
    return response.array(deleted, ([groupId, error]) => response.string(groupId).int16(error));
  },
};

const neverCommitted = { offset: -1, metadata: '' };

export const offsetFetch: Api = {
  key: 9,
  name: 'OffsetFetch',
  minVersion: 4,
  maxVersion: 4,
  async handle(request, { groups: { offsets } }) {
    const group = request.string();
    const wanted = request.nullableArray(() => ({ topic: request.string(), partitions: request.array(() => request.int32()) }));
    const topics =
      wanted ??
      [...Map.groupBy(offsets.ofGroup(group), ({ topic }) => topic)].map(([topic, ofTopic]) => ({
        topic,
        partitions: ofTopic.map(({ partition }) => partition),
      }));
    const response = new WireWriter().int32(0);
    response.array(topics, ({ topic, partitions }) => {
      response.string(topic).array(partitions, (partition) => {
        const { offset, metadata } = offsets.find(group, topic, partition) ?? neverCommitted;
        response.int32(partition).int64(offset).string(metadata).int16(errorCodes.none);
      });
    });
    return response.int16(errorCodes.none);
  },
};
