import { randomUUID } from 'node:crypto';
import { startTimer } from '#libs/time';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';

export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface JoinRequest {
  readonly memberId: string;
  readonly clientId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocols: readonly GroupProtocol[];
}

export interface JoinResponse {
  readonly error: ErrorCode;
  readonly generation: number;
  readonly protocol: string;
  readonly leaderId: string;
  readonly memberId: string;
  /** For the leader all members, for the others empty. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

export interface SyncResponse {
  readonly error: ErrorCode;
  readonly assignment: Buffer;
}

/** A group as administrators see it, in Kafka's words. */
export interface GroupDescription {
  readonly state: 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';
  readonly protocol: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly clientId: string;
    readonly metadata: Buffer;
    readonly assignment: Buffer;
  }[];
}

const statesOfKafka = { empty: 'Empty', preparing: 'PreparingRebalance', completing: 'CompletingRebalance', stable: 'Stable' } as const;

interface Member {
  readonly id: string;
  readonly clientId: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  protocols: readonly GroupProtocol[];
  assignment: Buffer;
  respondToJoin: ((response: JoinResponse) => void) | undefined;
  respondToSync: ((response: SyncResponse) => void) | undefined;
  session: NodeJS.Timeout | undefined;
}

const nothing = Buffer.alloc(0);

/** Kafka's `group.min.session.timeout.ms` and `group.max.session.timeout.ms`. */
const sessionTimeoutsMs = { min: 6_000, max: 1_800_000 };

/**
 * One consumer group in Kafka's classic protocol: members join, the leader assigns partitions, all members sync, and heartbeats keep their
 * sessions. Membership is not stored: after a restart of the broker, members are unknown and join again. Committed offsets are stored
 * (`committed-offsets.ts`).
 *
 * State `preparing` waits for members to join, `completing` for the leader's assignment.
 */
export class ConsumerGroup {
  private readonly members = new Map<string, Member>();
  /** Member ids that were given out and have not joined yet, so that a client that never receives its id leaves no member behind (KIP-394). */
  private readonly invited = new Map<string, NodeJS.Timeout>();
  private state: 'empty' | 'preparing' | 'completing' | 'stable' = 'empty';
  private generation = 0;
  private leaderId = '';
  private protocol = '';
  private rebalanceDeadline: NodeJS.Timeout | undefined;
  /** Members of this generation that have not asked for their assignment. */
  private unsynced = new Set<string>();

  get empty(): boolean {
    return this.members.size === 0;
  }

  describe(): GroupDescription {
    const isStable = this.state === 'stable';
    const members = [...this.members.values()].map(({ id, clientId, protocols, assignment }) => {
      const metadata = protocols.find(({ name }) => name === this.protocol)?.metadata;
      return {
        memberId: id,
        clientId,
        metadata: (isStable ? metadata : undefined) ?? nothing,
        assignment: isStable ? assignment : nothing,
      };
    });
    return { state: statesOfKafka[this.state], protocol: isStable ? this.protocol : '', members };
  }

  async join(request: JoinRequest): Promise<JoinResponse> {
    const { memberId, sessionTimeoutMs } = request;
    if (sessionTimeoutMs < sessionTimeoutsMs.min || sessionTimeoutMs > sessionTimeoutsMs.max)
      return this.refuseJoin(errorCodes.invalidSessionTimeout, memberId);
    if (!this.canAgree(request)) return this.refuseJoin(errorCodes.inconsistentGroupProtocol, memberId);
    if (memberId === '') return this.refuseJoin(errorCodes.memberIdRequired, this.invite(request));
    const known = this.members.get(memberId);
    if (known === undefined && !this.invited.has(memberId)) return this.refuseJoin(errorCodes.unknownMemberId, memberId);
    const member = known ?? this.addMember(request);
    const changed = known === undefined || !sameProtocols(known.protocols, request.protocols);
    member.protocols = request.protocols;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    if (!changed && this.isRepeat(member)) {
      this.expectHeartbeat(member);
      return this.joined(member);
    }
    return new Promise((resolve) => {
      member.respondToJoin = resolve;
      clearTimeout(member.session); // it cannot send heartbeats while it waits for this response
      if (this.state !== 'preparing') this.prepare();
      this.completeWhenAllJoined();
    });
  }

  sync(memberId: string, generation: number, assignments: ReadonlyMap<string, Buffer>): Promise<SyncResponse> {
    const refusal = this.refusal(memberId, generation);
    if (refusal !== undefined) return Promise.resolve({ error: refusal, assignment: nothing });
    const member = this.members.get(memberId)!;
    this.expectHeartbeat(member);
    this.unsynced.delete(memberId);
    if (this.state === 'stable') return Promise.resolve({ error: errorCodes.none, assignment: member.assignment });
    return new Promise((resolve) => {
      member.respondToSync = resolve;
      if (memberId === this.leaderId) this.assign(assignments);
    });
  }

  heartbeat(memberId: string, generation: number): ErrorCode {
    const member = this.members.get(memberId);
    if (member !== undefined && generation === this.generation) this.expectHeartbeat(member);
    return this.refusal(memberId, generation) ?? errorCodes.none;
  }

  leave(memberId: string): ErrorCode {
    if (this.invited.has(memberId)) this.uninvite(memberId);
    else if (this.members.has(memberId)) this.remove(memberId);
    else return errorCodes.unknownMemberId;
    return errorCodes.none;
  }

  /**
   * Checks whether a member may commit now. Members of the last generation may while others still join; no member may while the leader assigns.
   * A commit counts as a heartbeat.
   */
  checkCommit(memberId: string, generation: number): ErrorCode {
    if (generation < 0 && this.empty) return errorCodes.none; // an administrator sets the offsets of a group at rest
    const member = this.members.get(memberId);
    if (member === undefined) return errorCodes.unknownMemberId;
    if (generation !== this.generation) return errorCodes.illegalGeneration;
    if (this.state === 'completing') return errorCodes.rebalanceInProgress;
    this.expectHeartbeat(member);
    return errorCodes.none;
  }

  /** Removes all members and timers. */
  close(): void {
    clearTimeout(this.rebalanceDeadline);
    for (const memberId of this.invited.keys()) this.uninvite(memberId);
    for (const member of this.members.values()) clearTimeout(member.session);
    this.members.clear();
  }

  private refusal(memberId: string, generation: number): ErrorCode | undefined {
    if (!this.members.has(memberId)) return errorCodes.unknownMemberId;
    if (generation !== this.generation) return errorCodes.illegalGeneration;
    return this.state === 'preparing' ? errorCodes.rebalanceInProgress : undefined;
  }

  /** True if an unchanged member joins again because it missed the response; no rebalance is needed. A leader may want to assign anew. */
  private isRepeat(member: Member): boolean {
    return this.state === 'completing' || (this.state === 'stable' && member.id !== this.leaderId);
  }

  private invite({ clientId, sessionTimeoutMs }: JoinRequest): string {
    const id = `${clientId}-${randomUUID()}`;
    this.invited.set(
      id,
      startTimer(() => this.uninvite(id), sessionTimeoutMs),
    );
    return id;
  }

  private uninvite(memberId: string): void {
    clearTimeout(this.invited.get(memberId));
    this.invited.delete(memberId);
  }

  private addMember(request: JoinRequest): Member {
    const id = request.memberId;
    this.uninvite(id);
    const member: Member = {
      id,
      clientId: request.clientId,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      protocols: request.protocols,
      assignment: nothing,
      respondToJoin: undefined,
      respondToSync: undefined,
      session: undefined,
    };
    this.members.set(id, member);
    return member;
  }

  private prepare(): void {
    this.state = 'preparing';
    for (const member of this.members.values()) {
      this.respondToSync(member, { error: errorCodes.rebalanceInProgress, assignment: nothing });
    }
    this.expectWithinRebalance(() => [...this.members.values()].filter(({ respondToJoin }) => respondToJoin === undefined));
  }

  /** When the slowest rebalance timeout has passed, removes the members that `late` returns. */
  private expectWithinRebalance(late: () => Member[]): void {
    const slowest = Math.max(...[...this.members.values()].map(({ rebalanceTimeoutMs }) => rebalanceTimeoutMs));
    clearTimeout(this.rebalanceDeadline);
    this.rebalanceDeadline = startTimer(() => {
      for (const { id } of late()) this.remove(id);
    }, slowest);
  }

  private completeWhenAllJoined(): void {
    const members = [...this.members.values()];
    if (this.state !== 'preparing' || members.length === 0 || members.some(({ respondToJoin }) => respondToJoin === undefined)) return;
    this.state = 'completing';
    this.generation += 1;
    this.unsynced = new Set(this.members.keys());
    this.expectWithinRebalance(() => members.filter(({ id }) => this.unsynced.has(id)));
    if (!this.members.has(this.leaderId)) this.leaderId = members[0]!.id;
    this.protocol = this.agreed(members.map(({ protocols }) => protocols))!;
    for (const member of members) {
      member.respondToJoin!(this.joined(member));
      member.respondToJoin = undefined;
      this.expectHeartbeat(member);
    }
  }

  private joined(member: Member): JoinResponse {
    const metadataOf = ({ protocols }: Member): Buffer => protocols.find(({ name }) => name === this.protocol)?.metadata ?? nothing;
    return {
      error: errorCodes.none,
      generation: this.generation,
      protocol: this.protocol,
      leaderId: this.leaderId,
      memberId: member.id,
      members:
        member.id === this.leaderId ? [...this.members.values()].map((each) => ({ memberId: each.id, metadata: metadataOf(each) })) : [],
    };
  }

  private refuseJoin(error: ErrorCode, memberId: string): JoinResponse {
    return { error, generation: -1, protocol: '', leaderId: '', memberId, members: [] };
  }

  /** Checks that the joining member supports a protocol that all others support. */
  private canAgree({ memberId, protocols }: JoinRequest): boolean {
    const others = [...this.members.values()].filter(({ id }) => id !== memberId);
    return this.agreed([protocols, ...others.map((member) => member.protocols)]) !== undefined;
  }

  private agreed([first = [], ...others]: (readonly GroupProtocol[])[]): string | undefined {
    return first.find(({ name }) => others.every((protocols) => protocols.some((other) => other.name === name)))?.name;
  }

  private assign(assignments: ReadonlyMap<string, Buffer>): void {
    this.state = 'stable';
    for (const member of this.members.values()) {
      member.assignment = assignments.get(member.id) ?? nothing;
      this.respondToSync(member, { error: errorCodes.none, assignment: member.assignment });
    }
  }

  private respondToSync(member: Member, response: SyncResponse): void {
    member.respondToSync?.(response);
    member.respondToSync = undefined;
  }

  private expectHeartbeat(member: Member): void {
    clearTimeout(member.session);
    if (member.respondToJoin === undefined) member.session = startTimer(() => this.remove(member.id), member.sessionTimeoutMs);
  }

  private remove(memberId: string): void {
    const member = this.members.get(memberId);
    if (member === undefined) return;
    clearTimeout(member.session);
    this.members.delete(memberId);
    member.respondToJoin?.(this.refuseJoin(errorCodes.unknownMemberId, memberId));
    this.respondToSync(member, { error: errorCodes.unknownMemberId, assignment: nothing });
    if (this.empty) {
      this.state = 'empty';
      clearTimeout(this.rebalanceDeadline);
    } else if (this.state !== 'preparing') this.prepare();
    this.completeWhenAllJoined();
  }
}

function sameProtocols(one: readonly GroupProtocol[], other: readonly GroupProtocol[]): boolean {
  return (
    one.length === other.length && one.every(({ name, metadata }, at) => other[at]!.name === name && other[at]!.metadata.equals(metadata))
  );
}
