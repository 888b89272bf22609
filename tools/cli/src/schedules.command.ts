import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface Schedule {
  name: string;
  cron: string;
  timeZone: string;
  nextFires: string[];
  lastTickAt: string | null;
  lastEventId: string | null;
  overdueSince: string | null;
  missed: number;
}

const query = '{ schedules { name cron timeZone nextFires lastTickAt lastEventId overdueSince fired missed lastMissedAt } }';
const fireOne = `mutation Fire($input: FireScheduleInput!) {
  fired: fireSchedule(input: $input) { __typename ... on FireScheduleSuccess { eventId } ${refusals} }
}`;

async function schedulesOf(connection: Connection): Promise<Schedule[]> {
  return (await ask<{ schedules: Schedule[] }>(connection, query)).schedules;
}

/** `millrace schedules`: each with its last and next tick. */
export async function schedules(connection: Connection, output: Output): Promise<void> {
  for (const schedule of await schedulesOf(connection)) {
    const { name, cron, timeZone, nextFires, lastTickAt, lastEventId, overdueSince, missed } = schedule;
    const line = [
      name,
      `${cron} ${timeZone}`,
      lastTickAt === null ? 'has not fired' : `last ${lastTickAt} ${lastEventId}`,
      nextFires[0] === undefined ? 'is over' : `next ${nextFires[0]}`,
      ...(missed === 0 ? [] : [`${missed} missed`]),
      ...(overdueSince === null ? [] : [`overdue since ${overdueSince}`]),
    ];
    output.result(schedule, line.join('  '));
  }
}

/** `millrace schedules next`: the next five ticks of one schedule. @throws CliFailure if there is no such schedule */
export async function nextTicks(connection: Connection, name: string, output: Output): Promise<void> {
  const found = (await schedulesOf(connection)).find((schedule) => schedule.name === name);
  if (found === undefined)
    throw new CliFailure(`There is no schedule ${name}; millrace schedules lists them`, 'refused', 'schedule.unknown');
  for (const at of found.nextFires) output.result({ name, at }, at);
  if (found.nextFires.length === 0) output.note(`${name} is over: no tick is left.`);
}

/** `millrace schedules fire`: makes an event of the schedule now, and prints its id. */
export async function fireNow(connection: Connection, name: string, output: Output): Promise<void> {
  const eventId = await fire(connection, name);
  output.result({ name, eventId }, eventId);
}

/** Makes an event of the schedule now, and resolves with its id. @throws CliFailure */
export async function fire(connection: Connection, name: string): Promise<string> {
  const input = { name, idempotencyKey: randomUUID() };
  type Fired = { __typename: 'FireScheduleSuccess'; eventId: string };
  const { fired } = await ask<{ fired: Fired | Refusal }>(connection, fireOne, { input });
  return accepted(connection, fired).eventId;
}
