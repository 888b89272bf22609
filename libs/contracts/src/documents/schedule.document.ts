import { z } from 'zod';
import { json } from '../json.js';
import { customerKey, isReservedCustomer } from '../names.js';
import { documentOf } from './document-of.js';

/** The most ticks that a schedule makes up for after a downtime. */
export const mostTicksMadeUpFor = 100;
const mostDataCharacters = 65_536;

const instant = z.iso.datetime({ offset: true, error: 'must be a time such as 2026-11-21T08:00:00Z or 2026-11-21T09:00:00+01:00' });

export const scheduleSpec = z
  .strictObject({
    cron: z
      .string()
      .min(1)
      .max(200)
      .describe(
        'The times, in five fields (minute, hour, day of the month, month, day of the week) or six with seconds first. `L` is the last day, `15W` the weekday nearest to the 15th, `FRI#2` the second Friday. Day and weekday together mean either of them.',
      ),
    timeZone: z
      .string()
      .min(1)
      .max(64)
      .describe('The time zone in which `cron` is read: a name of the IANA database, such as `Europe/Berlin` or `UTC`.'),
    event: z
      .strictObject({
        type: z
          .string()
          .min(1)
          .max(256)
          // eslint-disable-next-line no-control-regex
          .regex(/^[^\u0000-\u001f\u007f]+$/, 'must not contain control characters')
          .describe('The type of the event, such as `digest.due`; flows match on it.'),
        customer: customerKey
          .refine((key) => !isReservedCustomer(key), 'must not be - or begin with -/, which Millrace itself assigns')
          .optional()
          .describe(
            'The customer whose order the event takes its place in; default: the schedule itself, as the customer `-/SCHEDULE`, whose events are never held.',
          ),
        data: json
          .default({})
          .refine((data) => JSON.stringify(data).length <= mostDataCharacters, `must have at most ${mostDataCharacters} characters as JSON`)
          .describe('The data of the event, `event.data` in flows; at most 65 536 characters as JSON. Default: an empty object.'),
      })
      .describe('The event that each tick becomes.'),
    catchUp: z
      .enum(['none', 'latest', 'all'])
      .default('latest')
      .describe(
        'What becomes of ticks that nobody could fire within a minute, because Millrace was down. `none`: they are left out. `latest`: one event, that of the last of them, stands for all. `all`: each is fired, the last 100 of them at most.',
      ),
    jitterMs: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(0)
      .describe(
        'The longest delay of a tick in ms, up to one hour. Each tick has its own delay, which is always the same, so that many schedules of one time do not fire at once.',
      ),
    startsAt: instant.optional().describe('No tick comes before this time; default: when the document is applied.'),
    endsAt: instant.optional().describe('No tick comes at or after this time; default: they go on for ever.'),
  })
  .superRefine(({ startsAt, endsAt }, context) => {
    if (startsAt === undefined || endsAt === undefined || Date.parse(startsAt) < Date.parse(endsAt)) return;
    context.addIssue({ code: 'custom', path: ['endsAt'], message: 'must be after startsAt' });
  });
export type ScheduleSpec = z.infer<typeof scheduleSpec>;

export const scheduleDocument = documentOf(
  'Schedule',
  scheduleSpec.describe('When its ticks come, and the event that each becomes.'),
  'Makes events by the clock. Each tick is one event, however many processes there are. Flows name it among their sources.',
);
export type ScheduleDocument = z.infer<typeof scheduleDocument>;
