import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { errorCodes } from '../wire/error-codes.js';
import { ConsumerGroup } from './consumer-group.js';
import type { JoinAnswer } from './consumer-group.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const roundRobin = [{ name: 'roundrobin', metadata: Buffer.from('topics') }];

function join(group: ConsumerGroup, memberId = '', protocols = roundRobin): Promise<JoinAnswer> {
  return group.join({ memberId, clientId: 'test', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 30_000, protocols });
}

function assigned(...members: JoinAnswer[]): Map<string, Buffer> {
  return new Map(members.map(({ memberId }, at) => [memberId, Buffer.from(`part ${at}`)]));
}

/** Two members, joined and synced. */
async function pair() {
  const group = new ConsumerGroup();
  const alone = await join(group);
  await group.sync(alone.memberId, alone.generation, assigned(alone));
  const joining = join(group);
  expect(group.heartbeat(alone.memberId, alone.generation)).toBe(errorCodes.rebalanceInProgress);
  const [leader, follower] = await Promise.all([join(group, alone.memberId), joining]);
  const [, part] = await Promise.all([
    group.sync(leader.memberId, leader.generation, assigned(leader, follower)),
    group.sync(follower.memberId, follower.generation, new Map()),
  ]);
  expect(part).toEqual({ error: errorCodes.none, assignment: Buffer.from('part 1') });
  return { group, leader, follower };
}

test('the first member leads a group of its own', async () => {
  const group = new ConsumerGroup();
  const answer = await join(group);
  expect(answer).toMatchObject({ error: errorCodes.none, generation: 1, protocol: 'roundrobin', leaderId: answer.memberId });
  expect(answer.members).toEqual([{ memberId: answer.memberId, metadata: Buffer.from('topics') }]);
  expect(await group.sync(answer.memberId, 1, assigned(answer))).toEqual({ error: errorCodes.none, assignment: Buffer.from('part 0') });
});

test('a second member makes the first one join again; the leader learns of both and assigns', async () => {
  const { leader, follower } = await pair();
  expect(leader.members.map(({ memberId }) => memberId)).toEqual([leader.memberId, follower.memberId]);
  expect(follower).toMatchObject({ generation: 2, leaderId: leader.memberId, members: [] });
});

test('who leaves is replaced at once', async () => {
  const { group, leader, follower } = await pair();
  expect(group.leave(leader.memberId)).toBe(errorCodes.none);
  expect(group.heartbeat(follower.memberId, 2)).toBe(errorCodes.rebalanceInProgress);
  expect(await join(group, follower.memberId)).toMatchObject({ generation: 3, leaderId: follower.memberId });
});

test('who is silent for longer than its session is thrown out, who beats is not', async () => {
  const { group, leader, follower } = await pair();
  for (let beat = 0; beat < 3; beat += 1) {
    vi.advanceTimersByTime(4_000);
    group.heartbeat(leader.memberId, 2);
  }
  expect(group.heartbeat(follower.memberId, 2)).toBe(errorCodes.unknownMemberId);
  expect(group.heartbeat(leader.memberId, 2)).toBe(errorCodes.rebalanceInProgress);
});

test('a member that does not join again in time is left behind, and the others go on', async () => {
  const { group, leader, follower } = await pair();
  const joining = join(group);
  const rejoining = join(group, leader.memberId);
  for (let beat = 0; beat < 4; beat += 1) {
    vi.advanceTimersByTime(8_000);
    group.heartbeat(follower.memberId, 2); // alive, but busy
  }
  expect((await Promise.all([joining, rejoining])).map(({ generation }) => generation)).toEqual([3, 3]);
  expect(group.heartbeat(follower.memberId, 3)).toBe(errorCodes.unknownMemberId);
});

test('a follower that missed the answer joins again without disturbing anybody', async () => {
  const { group, leader, follower } = await pair();
  expect(await join(group, follower.memberId)).toMatchObject({ generation: 2, error: errorCodes.none });
  expect(group.heartbeat(leader.memberId, 2)).toBe(errorCodes.none);
});

test('members and generations that are not the current ones are refused', async () => {
  const { group, leader } = await pair();
  expect(group.heartbeat(leader.memberId, 1)).toBe(errorCodes.illegalGeneration);
  expect(group.heartbeat('stranger', 2)).toBe(errorCodes.unknownMemberId);
  expect(group.leave('stranger')).toBe(errorCodes.unknownMemberId);
  expect(await join(group, 'stranger')).toMatchObject({ error: errorCodes.unknownMemberId });
  expect(await group.sync(leader.memberId, 1, new Map())).toMatchObject({ error: errorCodes.illegalGeneration });
});

test('who speaks no protocol of the others cannot join', async () => {
  const { group } = await pair();
  expect(await join(group, '', [{ name: 'sticky', metadata: Buffer.alloc(0) }])).toMatchObject({
    error: errorCodes.inconsistentGroupProtocol,
  });
});

test('offsets are committed by current members, also while others join, but not before the new assignment is known', async () => {
  const { group, leader, follower } = await pair();
  expect(group.checkCommit(leader.memberId, 2)).toBe(errorCodes.none);
  expect(group.checkCommit(leader.memberId, 1)).toBe(errorCodes.illegalGeneration);
  expect(group.checkCommit('stranger', 2)).toBe(errorCodes.unknownMemberId);
  expect(group.checkCommit('', -1)).toBe(errorCodes.unknownMemberId);
  const joining = join(group, leader.memberId);
  expect(group.checkCommit(follower.memberId, 2)).toBe(errorCodes.none);
  await Promise.all([joining, join(group, follower.memberId)]);
  expect(group.checkCommit(follower.memberId, 3)).toBe(errorCodes.rebalanceInProgress);
});

test('a group that everybody left takes an administrator’s offsets', async () => {
  const group = new ConsumerGroup();
  const { memberId } = await join(group);
  group.leave(memberId);
  expect(group.empty).toBe(true);
  expect(group.checkCommit('', -1)).toBe(errorCodes.none);
});
