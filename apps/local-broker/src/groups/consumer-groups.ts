import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import type { CommittedOffset, CommittedOffsets } from './committed-offsets.js';
import { ConsumerGroup } from './consumer-group.js';
import type { JoinAnswer, JoinRequest, SyncAnswer } from './consumer-group.js';

/** The groups with members, and the offsets of all groups that ever committed. */
export class ConsumerGroups {
  readonly #groups = new Map<string, ConsumerGroup>();

  constructor(readonly offsets: CommittedOffsets) {}

  join(groupId: string, request: JoinRequest): Promise<JoinAnswer> {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      group = new ConsumerGroup();
      this.#groups.set(groupId, group);
    }
    return group.join(request);
  }

  async sync(groupId: string, memberId: string, generation: number, assignments: ReadonlyMap<string, Buffer>): Promise<SyncAnswer> {
    const group = this.#groups.get(groupId);
    return group?.sync(memberId, generation, assignments) ?? { error: errorCodes.unknownMemberId, assignment: Buffer.alloc(0) };
  }

  heartbeat(groupId: string, memberId: string, generation: number): ErrorCode {
    return this.#groups.get(groupId)?.heartbeat(memberId, generation) ?? errorCodes.unknownMemberId;
  }

  leave(groupId: string, memberId: string): ErrorCode {
    return this.#groups.get(groupId)?.leave(memberId) ?? errorCodes.unknownMemberId;
  }

  async commit(groupId: string, memberId: string, generation: number, offsets: readonly CommittedOffset[]): Promise<ErrorCode> {
    const group = this.#groups.get(groupId);
    const refusal = group === undefined ? strangersCommit(generation) : group.checkCommit(memberId, generation);
    if (refusal !== errorCodes.none) return refusal;
    await this.offsets.commit(offsets);
    return errorCodes.none;
  }

  async close(): Promise<void> {
    for (const group of this.#groups.values()) group.close();
    await this.offsets.close();
  }
}

/** Of a group without members only an administrator sets the offsets, and names no generation. */
function strangersCommit(generation: number): ErrorCode {
  return generation < 0 ? errorCodes.none : errorCodes.unknownMemberId;
}
