import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { errorCodes } from '../wire/error-codes.js';
import { ConsumerGroup } from './consumer-group.js';
import type { JoinResponse } from './consumer-group.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const roundRobin = [{ name: 'roundrobin', metadata: Buffer.from('topics') }];

function ask(group: ConsumerGroup, memberId: string, protocols = roundRobin, sessionTimeoutMs = 10_000): Promise<JoinResponse> {
  return group.join({ memberId, clientId: 'test', sessionTimeoutMs, rebalanceTimeoutMs: 30_000, protocols });
}

/** A newcomer asks for an id, and joins with it. */
async function join(group: ConsumerGroup, protocols = roundRobin): Promise<JoinResponse> {
  const { error, memberId } = await ask(group, '', protocols);
  expect(error).toBe(errorCodes.memberIdRequired);
  return ask(group, memberId, protocols);
}

/** A join resolves only when all members have joined; this waits until the group knows the new member. */
async function joining(group: ConsumerGroup): Promise<{ joined: Promise<JoinResponse> }> {
  const { memberId } = await ask(group, '');
  return { joined: ask(group, memberId) };
}

function assigned(...members: JoinResponse[]): Map<string, Buffer> {
  return new Map(members.map(({ memberId }, at) => [memberId, Buffer.from(`part ${at}`)]));
}

/** Two members, joined and synced. */
async function pair() {
  const group = new ConsumerGroup();
  const alone = await join(group);
  await group.sync(alone.memberId, alone.generation, assigned(alone));
  const newcomer = await joining(group);
  expect(group.heartbeat(alone.memberId, alone.generation)).toBe(errorCodes.rebalanceInProgress);
  const [leader, follower] = await Promise.all([ask(group, alone.memberId), newcomer.joined]);
  const [, part] = await Promise.all([
    group.sync(leader.memberId, leader.generation, assigned(leader, follower)),
    group.sync(follower.memberId, follower.generation, new Map()),
  ]);
  expect(part).toEqual({ error: errorCodes.none, assignment: Buffer.from('part 1') });
  return { group, leader, follower };
}

test('the first member leads a group of its own', async () => {
  const group = new ConsumerGroup();
  const response = await join(group);
  expect(response).toMatchObject({ error: errorCodes.none, generation: 1, protocol: 'roundrobin', leaderId: response.memberId });
  expect(response.members).toEqual([{ memberId: response.memberId, metadata: Buffer.from('topics') }]);
  expect(await group.sync(response.memberId, 1, assigned(response))).toEqual({ error: errorCodes.none, assignment: Buffer.from('part 0') });
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
  expect(await ask(group, follower.memberId)).toMatchObject({ generation: 3, leaderId: follower.memberId });
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

test('a commit is a sign of life', async () => {
  const { group, leader } = await pair();
  for (let commit = 0; commit < 3; commit += 1) {
    vi.advanceTimersByTime(4_000);
    group.checkCommit(leader.memberId, 2);
  }
  expect(group.checkCommit(leader.memberId, 2)).toBe(errorCodes.none);
});

test('a member that does not join again in time is left behind, and the others go on', async () => {
  const { group, leader, follower } = await pair();
  const newcomer = await joining(group);
  const rejoining = ask(group, leader.memberId);
  for (let beat = 0; beat < 4; beat += 1) {
    vi.advanceTimersByTime(8_000);
    group.heartbeat(follower.memberId, 2); // alive, but busy
  }
  expect((await Promise.all([newcomer.joined, rejoining])).map(({ generation }) => generation)).toEqual([3, 3]);
  expect(group.heartbeat(follower.memberId, 3)).toBe(errorCodes.unknownMemberId);
});

test('a follower that missed the response joins again without disturbing anybody', async () => {
  const { group, leader, follower } = await pair();
  expect(await ask(group, follower.memberId)).toMatchObject({ generation: 2, error: errorCodes.none });
  expect(group.heartbeat(leader.memberId, 2)).toBe(errorCodes.none);
});

test('members and generations that are not the current ones are refused', async () => {
  const { group, leader } = await pair();
  expect(group.heartbeat(leader.memberId, 1)).toBe(errorCodes.illegalGeneration);
  expect(group.heartbeat('stranger', 2)).toBe(errorCodes.unknownMemberId);
  expect(group.leave('stranger')).toBe(errorCodes.unknownMemberId);
  expect(await ask(group, 'stranger')).toMatchObject({ error: errorCodes.unknownMemberId });
  expect(await group.sync(leader.memberId, 1, new Map())).toMatchObject({ error: errorCodes.illegalGeneration });
});

test('who speaks no protocol of the others cannot join', async () => {
  const { group } = await pair();
  expect(await ask(group, '', [{ name: 'sticky', metadata: Buffer.alloc(0) }])).toMatchObject({
    error: errorCodes.inconsistentGroupProtocol,
  });
});

test('offsets are committed by current members, also while others join, but not before the new assignment is known', async () => {
  const { group, leader, follower } = await pair();
  expect(group.checkCommit(leader.memberId, 2)).toBe(errorCodes.none);
  expect(group.checkCommit(leader.memberId, 1)).toBe(errorCodes.illegalGeneration);
  expect(group.checkCommit('stranger', 2)).toBe(errorCodes.unknownMemberId);
  expect(group.checkCommit('', -1)).toBe(errorCodes.unknownMemberId);
  const rejoining = ask(group, leader.memberId);
  expect(group.checkCommit(follower.memberId, 2)).toBe(errorCodes.none);
  await Promise.all([rejoining, ask(group, follower.memberId)]);
  expect(group.checkCommit(follower.memberId, 3)).toBe(errorCodes.rebalanceInProgress);
});

test('a group that everybody left takes an administrator’s offsets', async () => {
  const group = new ConsumerGroup();
  const { memberId } = await join(group);
  group.leave(memberId);
  expect(group.empty).toBe(true);
  expect(group.checkCommit('', -1)).toBe(errorCodes.none);
});

test('an id that is given out is nobody until it joins, and is forgotten after a session', async () => {
  const group = new ConsumerGroup();
  const { memberId } = await ask(group, '');
  expect(group.empty).toBe(true);
  expect(group.heartbeat(memberId, 0)).toBe(errorCodes.unknownMemberId);
  vi.advanceTimersByTime(10_000);
  expect(await ask(group, memberId)).toMatchObject({ error: errorCodes.unknownMemberId });
});

test('a session shorter or longer than Kafka takes is refused', async () => {
  const group = new ConsumerGroup();
  for (const sessionTimeoutMs of [5_999, 1_800_001]) {
    expect(await ask(group, '', roundRobin, sessionTimeoutMs)).toMatchObject({ error: errorCodes.invalidSessionTimeout });
  }
});

test('a leader that beats but never assigns is removed when the time for a rebalance is over', async () => {
  const group = new ConsumerGroup();
  const leader = await join(group);
  for (let beat = 0; beat < 4; beat += 1) {
    expect(group.heartbeat(leader.memberId, 1)).toBe(errorCodes.none);
    vi.advanceTimersByTime(8_000);
  }
  expect(group.heartbeat(leader.memberId, 1)).toBe(errorCodes.unknownMemberId);
});

test('members keep their order from generation to generation', async () => {
  const { group, leader, follower } = await pair();
  const rejoined = ask(group, follower.memberId, [{ name: 'roundrobin', metadata: Buffer.from('other topics') }]);
  const again = await ask(group, leader.memberId);
  await rejoined;
  expect(again.members.map(({ memberId }) => memberId)).toEqual([leader.memberId, follower.memberId]);
});
