import type { Owned, Topic } from '#libs/contracts';
import type { PoisonPolicy, RecordContext, RecordSubscription } from './on-record.js';

export interface Handler extends RecordSubscription {
  readonly handle: (value: Owned, context: RecordContext) => Promise<void>;
}

/** The handlers that share a consumer group, and therefore its offsets. */
export interface HandlerGroup {
  readonly group: string;
  readonly order: 'customer' | 'none';
  readonly audience: 'one' | 'every-process';
  readonly poison: PoisonPolicy;
  /** Undefined: by the load. */
  readonly fetchEveryMs: number | undefined;
  readonly topics: readonly Topic[];
  /** Finds the handler for a record by its topic and `mr_schema`. */
  readonly handlerOf: (topic: string, schema: string) => Handler | undefined;
}

/** The handlers contradict each other. Each problem names the line to change. */
export class HandlersInvalid extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The record handlers do not fit together:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  }
}

/**
 * Sorts handlers into their groups.
 * @param canHold true if this process has a store for held records
 * @throws HandlersInvalid with all problems together
 */
export function groupHandlers(handlers: readonly Handler[], { canHold }: { canHold: boolean }): HandlerGroup[] {
  const problems = handlers.flatMap((handler) => [...typesNotOnTopic(handler), ...holdsNothing(handler, canHold)]);
  const groups = [...Map.groupBy(handlers, ({ group }) => group)].map(([group, members]) => {
    problems.push(...disagreements(group, members));
    const table = new Map<string, Handler>();
    for (const handler of members) {
      for (const topic of handler.topics) {
        const key = handlerKey(topic.name, handler.type.schema);
        const other = table.get(key);
        if (other === undefined) table.set(key, handler);
        else problems.push(twoHandlers(other, handler, topic));
      }
    }
    return groupOf(group, members, table);
  });
  if (problems.length > 0) throw new HandlersInvalid(problems);
  return groups;
}

function groupOf(group: string, members: readonly Handler[], table: ReadonlyMap<string, Handler>): HandlerGroup {
  const [{ order, audience, poison }] = members as [Handler];
  const topics = new Map(members.flatMap((handler) => handler.topics.map((topic) => [topic.name, topic] as const)));
  return {
    group,
    order,
    audience,
    poison,
    fetchEveryMs: shortest(members.map(({ fetchEveryMs }) => fetchEveryMs)),
    topics: [...topics.values()],
    handlerOf: (topic, schema) => table.get(handlerKey(topic, schema)),
  };
}

function shortest(times: readonly (number | undefined)[]): number | undefined {
  return times.every((ms) => ms !== undefined) ? Math.min(...times) : undefined;
}

function handlerKey(topic: string, schema: string): string {
  return `${topic} ${schema}`;
}

function typesNotOnTopic({ topics, type, method }: Handler): string[] {
  return topics
    .filter((topic) => !topic.types.some(({ schema }) => schema === type.schema))
    .map(
      (topic) =>
        `@OnRecord on ${method}: ${type.schema} is not on ${topic.name}, which carries ${topic.types.map(({ schema }) => schema).join(', ')}. ` +
        'Name one of these, or add the type to the topic in libs/contracts/src/topics.ts.',
    );
}

function twoHandlers(first: Handler, second: Handler, topic: Topic): string {
  return (
    `@OnRecord on ${second.method}: ${first.method} already handles ${second.type.schema} of ${topic.name} in group '${second.group}'. ` +
    'Remove one of the two, or give one another group.'
  );
}

/** Checks that a group with `park-key` has an order to hold, and a store that outlives the process. */
function holdsNothing({ poison, order, audience, group, method }: Handler, canHold: boolean): string[] {
  if (poison !== 'park-key') return [];
  if (order === 'none' || audience === 'every-process') {
    return [
      `@OnRecord on ${method}: poison 'park-key' needs order 'customer' and audience 'one'. Use poison: 'skip', or change the others.`,
    ];
  }
  return canHold
    ? []
    : [
        `@OnRecord on ${method}: group '${group}' holds customers, and this process has nowhere to keep their records. ` +
          "Give the process Postgres (`holds` of the LogConsumer), or use poison: 'skip'.",
      ];
}

/** A group has one set of offsets, so all its handlers must have the same order, audience and poison policy. */
function disagreements(group: string, [first, ...others]: readonly Handler[]): string[] {
  return others
    .filter((other) => other.order !== first!.order || other.audience !== first!.audience || other.poison !== first!.poison)
    .map(
      (other) =>
        `@OnRecord on ${other.method}: group '${group}' is read with order '${first!.order}', audience '${first!.audience}' and poison '${first!.poison}' by ` +
        `${first!.method}, here with '${other.order}', '${other.audience}' and '${other.poison}'. Use the same, or another group.`,
    );
}
