import { expect, test } from 'vitest';
import { problemsOf } from './ack-copies.js';

const right = { name: 't', replicas: 3, inSync: 2, isUnclean: false };

test.each([
  [right, []],
  [{ ...right, replicas: 2 }, []],
  [{ ...right, replicas: 1 }, ['t has 1 of 2 replicas']],
  [{ ...right, inSync: 1 }, ['t has min.insync.replicas 1, so an ack needs 1 of 2 copies']],
  [{ ...right, isUnclean: true }, ['t has unclean.leader.election.enable true, so a copy without acknowledged events may lead']],
])('%j promises two copies, unless something is wrong: %j', (topic, problems) => {
  expect(problemsOf([topic], 2)).toEqual(problems);
});

test('every topic is told about', () => {
  expect(problemsOf([{ ...right, name: 'a', inSync: 1 }, right, { ...right, name: 'b', replicas: 1 }], 2)).toHaveLength(2);
});
