import { randomInt } from 'node:crypto';
import { errorCodes } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import type { Api } from './api.js';
import { fetch } from './fetch.api.js';
import {
  deleteGroups,
  describeGroups,
  findCoordinator,
  heartbeat,
  joinGroup,
  leaveGroup,
  listGroups,
  offsetCommit,
  offsetFetch,
  syncGroup,
} from './groups.api.js';
import { produce } from './produce.api.js';
import { createTopics, listOffsets, metadata } from './topics.api.js';

const initProducerId: Api = {
  key: 22,
  name: 'InitProducerId',
  minVersion: 1,
  maxVersion: 1,
  async handle() {
    // Random rather than counted: nothing has to be stored for it to be new after a restart.
    return new WireWriter()
      .int32(0)
      .int16(errorCodes.none)
      .int64(randomInt(1, 2 ** 47))
      .int16(0);
  },
};

const apiVersions: Api = {
  key: 18,
  name: 'ApiVersions',
  minVersion: 0,
  maxVersion: 2,
  async handle(_request, _broker, { version }) {
    return supportedVersions(errorCodes.none, version);
  },
};

const all = [
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  listGroups,
  describeGroups,
  deleteGroups,
  apiVersions,
  createTopics,
  initProducerId,
];

/** Every kind of request that this broker handles, by its key. */
export const apis: ReadonlyMap<number, Api> = new Map(all.map((api) => [api.key, api]));

/** Also the response to an ApiVersions request in a version that is too new, so that the client repeats it in an older one (KIP-511). */
export function supportedVersions(error: typeof errorCodes.none | typeof errorCodes.unsupportedVersion, version: number): WireWriter {
  const response = new WireWriter().int16(error);
  response.array(all, ({ key, minVersion, maxVersion }) => response.int16(key).int16(minVersion).int16(maxVersion));
  return version >= 1 ? response.int32(0) : response;
}

export const apiVersionsKey = apiVersions.key;
