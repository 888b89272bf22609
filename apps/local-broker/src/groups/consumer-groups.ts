import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import type { CommittedOffset, CommittedOffsets } from './committed-offsets.js';
import { ConsumerGroup } from './consumer-group.js';
import type { GroupDescription, JoinResponse, JoinRequest, SyncResponse } from './consumer-group.js';

/** Kafka's `offset.metadata.max.bytes`, which counts characters. */
const maxMetadataLength = 4_096;
/** Kafka's `offsets.retention.minutes`. */
const offsetsRetentionMs = 7 * 86_400_000;

/** The groups with members, and the offsets of all groups that ever committed. */
export class ConsumerGroups {
  private readonly groups = new Map<string, ConsumerGroup>();

  constructor(readonly offsets: CommittedOffsets) {}

  join(groupId: string, request: JoinRequest): Promise<JoinResponse> {
    let group = this.groups.get(groupId);
    if (group === undefined) {
      group = new ConsumerGroup();
      this.groups.set(groupId, group);
    }
    return group.join(request);
  }

  async sync(groupId: string, memberId: string, generation: number, assignments: ReadonlyMap<string, Buffer>): Promise<SyncResponse> {
    const group = this.groups.get(groupId);
    return group?.sync(memberId, generation, assignments) ?? { error: errorCodes.unknownMemberId, assignment: Buffer.alloc(0) };
  }

  heartbeat(groupId: string, memberId: string, generation: number): ErrorCode {
    return this.groups.get(groupId)?.heartbeat(memberId, generation) ?? errorCodes.unknownMemberId;
  }

  leave(groupId: string, memberId: string): ErrorCode {
    return this.groups.get(groupId)?.leave(memberId) ?? errorCodes.unknownMemberId;
  }

  /** Groups that have members or offsets. */
  names(): string[] {
    const atWork = [...this.groups].flatMap(([groupId, group]) => (group.empty ? [] : [groupId]));
    return [...new Set([...atWork, ...this.offsets.groupNames()])];
  }

  describe(groupId: string): GroupDescription {
    const group = this.groups.get(groupId);
    if (group !== undefined) return group.describe();
    return { state: this.offsets.ofGroup(groupId).length === 0 ? 'Dead' : 'Empty', protocol: '', members: [] };
  }

  /** Forgets a group without members, with its offsets. */
  async delete(groupId: string): Promise<ErrorCode> {
    const { state } = this.describe(groupId);
    if (state === 'Dead') return errorCodes.groupIdNotFound;
    if (state !== 'Empty') return errorCodes.nonEmptyGroup;
    this.groups.delete(groupId);
    await this.offsets.forget([groupId]);
    return errorCodes.none;
  }

  /** @returns one error code per offset, in their order */
  async commit(groupId: string, memberId: string, generation: number, offsets: readonly CommittedOffset[]): Promise<ErrorCode[]> {
    const refusal = this.checkCommit(groupId, memberId, generation);
    if (refusal !== errorCodes.none) return offsets.map(() => refusal);
    const taken = offsets.filter(isNoteShort);
    const stored = await this.offsets.commit(taken).then(
      () => errorCodes.none,
      () => errorCodes.coordinatorNotAvailable,
    );
    return offsets.map((offset) => (isNoteShort(offset) ? stored : errorCodes.offsetMetadataTooLarge));
  }

  /** Forgets the offsets of groups that nobody has used for a week, as Kafka does. */
  async expire(nowMs: number): Promise<string[]> {
    const atWork = [...this.groups].flatMap(([groupId, group]) => (group.empty ? [] : [groupId]));
    await this.offsets.used(atWork);
    const expired = this.offsets.unusedSince(nowMs - offsetsRetentionMs);
    await this.offsets.forget(expired);
    for (const [groupId, group] of this.groups) {
      if (group.empty && this.offsets.ofGroup(groupId).length === 0) this.groups.delete(groupId);
    }
    return expired;
  }

  async close(): Promise<void> {
    for (const group of this.groups.values()) group.close();
    await this.offsets.close();
  }

  private checkCommit(groupId: string, memberId: string, generation: number): ErrorCode {
    const group = this.groups.get(groupId);
    if (group !== undefined) return group.checkCommit(memberId, generation);
    // Only an administrator sets the offsets of a group without members, and names no generation.
    if (generation < 0) return errorCodes.none;
    return this.offsets.ofGroup(groupId).length === 0 ? errorCodes.illegalGeneration : errorCodes.unknownMemberId;
  }
}

function isNoteShort({ metadata }: CommittedOffset): boolean {
  return metadata.length <= maxMetadataLength;
}
