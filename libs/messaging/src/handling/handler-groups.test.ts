import { expect, test } from 'vitest';
import { EventReceived, EventRecorded, RunCompleted, topics } from '#libs/contracts';
import { groupHandlers as groupsOf } from './handler-groups.js';
import type { Handler } from './handler-groups.js';

const handler = (method: string, changes: Partial<Handler> = {}): Handler => ({
  topics: [topics.outcomes],
  type: EventRecorded,
  group: 'g',
  order: 'customer',
  audience: 'one',
  poison: 'skip',
  fetchEveryMs: undefined,
  passesNotices: false,
  method,
  handle: async () => undefined,
  ...changes,
});

const groupHandlers = (handlers: readonly Handler[], canHold = true) => groupsOf(handlers, { canHold });

test('handlers of one group share a consumer of all their topics, and each record finds its handler', () => {
  const events = handler('A.onEvent', { topics: [topics.eventsHigh, topics.eventsLow], type: EventReceived });
  const outcomes = handler('A.onOutcome');
  const [group, ...others] = groupHandlers([events, outcomes]);
  expect(others).toEqual([]);
  expect(group!.topics).toEqual([topics.eventsHigh, topics.eventsLow, topics.outcomes]);
  expect(group!.handlerOf(topics.eventsLow.name, EventReceived.schema)).toBe(events);
  expect(group!.handlerOf(topics.outcomes.name, EventRecorded.schema)).toBe(outcomes);
  expect(group!.handlerOf(topics.outcomes.name, RunCompleted.schema)).toBeUndefined();
});

test('a group is fetched as often as the handler with the shortest time asks', () => {
  const fetchEveryMs = (...times: (number | undefined)[]) =>
    groupHandlers(times.map((ms, n) => handler(`A.on${n}`, { fetchEveryMs: ms, type: n === 0 ? EventRecorded : RunCompleted })))[0]!
      .fetchEveryMs;
  expect([fetchEveryMs(100, 25), fetchEveryMs(100, undefined), fetchEveryMs(undefined)]).toEqual([25, undefined, undefined]);
});

test('two handlers for one type in one group stop the process, naming both', () => {
  expect(() => groupHandlers([handler('A.on'), handler('B.on')])).toThrow(
    "@OnRecord on B.on: A.on already handles event.recorded.v1 of outcomes in group 'g'. Remove one of the two, or give one another group.",
  );
});

test('a type that its topic does not carry stops the process, naming what could be meant', () => {
  expect(() => groupHandlers([handler('A.on', { topics: [topics.deliveries] })])).toThrow(
    '@OnRecord on A.on: event.recorded.v1 is not on deliveries, which carries delivery.attempted.v1. ' +
      'Name one of these, or add the type to the topic in libs/contracts/src/topics.ts.',
  );
});

test('handlers of one group that want it read in different ways stop the process, all problems at once', () => {
  const unordered = handler('B.on', { type: RunCompleted, order: 'none' });
  expect(() => groupHandlers([handler('A.on'), unordered, handler('C.on')])).toThrow(
    /B\.on: group 'g' is read with order 'customer', audience 'one' and poison 'skip' by A\.on, here with 'none', 'one' and 'skip'[^]*C\.on: A\.on already handles/,
  );
});

test('a group that holds customers stops the process where nothing can be held, or where there is no order to hold', () => {
  expect(() => groupHandlers([handler('A.on', { poison: 'park-key' })], false)).toThrow(
    "@OnRecord on A.on: group 'g' holds customers, and this process has nowhere to keep their records. " +
      "Give the process Postgres (`holds` of the LogConsumer), or use poison: 'skip'.",
  );
  expect(() => groupHandlers([handler('A.on', { poison: 'park-key', order: 'none' })])).toThrow(
    "@OnRecord on A.on: poison 'park-key' needs order 'customer' and audience 'one'.",
  );
  expect(groupHandlers([handler('A.on', { poison: 'park-key' })])[0]!.poison).toBe('park-key');
});
