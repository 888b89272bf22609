import { z } from 'zod';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { commandId, entity, idempotencyKey, timestamp } from '../operations/shape.js';

export const schedule = entity(
  'Schedule',
  {
    name: z.string().describe('The name of its document, which is the source of its events.'),
    cron: z.string().describe('Its times, as its document says.'),
    timeZone: z.string().describe('The time zone in which `cron` is read.'),
    nextFires: z
      .array(timestamp)
      .describe('The next five ticks, fewer if there are no more. Each may be delayed by up to `jitterMs` of the document.'),
    lastTickAt: timestamp.nullable().describe('The instant of the last tick that became an event; null if none has.'),
    lastEventId: z.string().nullable().describe('The id of the event of that tick.'),
    lastAppendedAt: timestamp
      .nullable()
      .describe('When the log had that event: later than `lastTickAt` by the delay of the tick and by what went wrong.'),
    overdueSince: timestamp
      .nullable()
      .describe('The earliest tick that nobody has fired yet although its time is past; null if there is none.'),
    fired: z.int().describe('How many ticks became events.'),
    missed: z
      .int()
      .describe(
        'How many ticks were left out after downtimes, as `catchUp` of the document says. Of one downtime, at most 1 000 are counted.',
      ),
    lastMissedAt: timestamp.nullable().describe('When ticks were last left out; null if none were.'),
  },
  { about: 'Makes events by the clock, and how far it is.' },
);
export type ScheduleRow = z.infer<typeof schedule>;

export const listSchedules = query({
  name: 'schedules',
  about: 'The schedules of the tenant, by name.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(schedule),
  failures: [],
});

export const fireSchedule = command({
  name: 'fireSchedule',
  about:
    'Makes an event of a schedule now, beside its ticks, which do not change. The same `idempotencyKey` asks for the same event however often it is\nsent.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({ name: z.string().describe('The name of the schedule.'), idempotencyKey }),
  result: { commandId, eventId: z.string().describe('The id of the event.') },
  aboutResult: 'The command is on the log; the event follows.',
  failures: ['schedule.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type FireScheduleInput = InputOf<typeof fireSchedule>;
