import { z } from 'zod';
import { documentOf } from './document-of.js';
import { laneRules } from './lane-rules.js';
import { expression, refTo } from './references.js';

const [second, day] = [1_000, 86_400_000];

/** Problems of the fields that say when passes begin. */
function problemOfTimes({
  everyMs,
  cron,
  timeZone,
}: {
  everyMs?: number | undefined;
  cron?: string | undefined;
  timeZone?: string | undefined;
}): [string, string] | undefined {
  if (everyMs === undefined && cron === undefined) return ['everyMs', 'is missing: set it, or `cron` with `timeZone`'];
  if (everyMs !== undefined && cron !== undefined) return ['everyMs', 'cannot stand beside `cron`: leave one of them out'];
  if (cron !== undefined && timeZone === undefined)
    return ['timeZone', 'is missing: `cron` is read in a time zone, such as Europe/Berlin or UTC'];
  if (cron === undefined && timeZone !== undefined) return ['timeZone', 'belongs to `cron`: leave it out'];
  return undefined;
}

export const pullSpec = z
  .strictObject({
    connection: refTo('Connection').describe('The name of the connection, a document of the same tenant.'),
    operation: z.string().min(1).max(63).describe('An operation of its connector that reads a list.'),
    input: expression
      .optional()
      .describe(
        'The input of the operation: JSONata over `{ since, startedAt }`, the cursor and the time at which the pass began. In the first pass `since` has no value, and a member without a value is left out. Default: an empty object.',
      ),
    items: expression
      .optional()
      .describe(
        'The items, of an operation without pages: JSONata over `{ output }`; default: the output itself. It must yield a list, or the pull is refused with pull.itemsInvalid. An operation with pages says itself what its items are.',
      ),
    eventId: expression
      .optional()
      .describe(
        'Reads the id by which an item is the same event again: JSONata over `{ item }`, such as `item.id & ":" & item.updatedAt`. Default: a hash of the item, so that each change of it is a new event.',
      ),
    customer: expression
      .optional()
      .describe(
        'Reads the customer: JSONata over `{ item }`. An event without a customer belongs to the pull itself, as the customer `-/PULL`.',
      ),
    type: expression.describe('Reads the event’s type: JSONata over `{ item }`, such as `"contact.changed"`.'),
    occurredAt: expression.optional().describe('Reads the time of the event: JSONata over `{ item }`; default: when it was read.'),
    lane: laneRules,
    cursor: z
      .strictObject({
        value: expression.describe(
          'Reads a value that is greater for what is newer: JSONata over `{ item }`, such as `item.updatedAt` or `item.id`. A number, or text; times in RFC 3339 are compared as times. All items and `start` have one kind of value; an item of another kind is a failure.',
        ),
        start: z
          .union([z.string().min(1).max(256), z.number()])
          .optional()
          .describe('`since` of the first pass; default: it has no value, so that everything is read.'),
      })
      .optional()
      .describe(
        'Where the next pass begins: the greatest value of all items so far is its `since`. Default: each pass reads the whole list.',
      ),
    everyMs: z
      .int()
      .min(second)
      .max(7 * day)
      .optional()
      .describe('From the beginning of a pass to the beginning of the next one, in ms: from one second to seven days.'),
    cron: z.string().min(1).max(200).optional().describe('The times at which passes begin, instead of `everyMs`; as in a Schedule.'),
    timeZone: z.string().min(1).max(64).optional().describe('The time zone in which `cron` is read: a name of the IANA database.'),
    rate: z
      .strictObject({
        pagesPerSecond: z.number().min(0.001).max(100).default(5).describe('The most pages per second, on average.'),
        itemsPerSecond: z
          .number()
          .min(0.1)
          .max(10_000)
          .default(500)
          .describe('The most items per second, on average; those of one page come at once.'),
      })
      .prefault({})
      .describe('How fast a pass reads. All processes keep it together, because one of them reads at a time.'),
    maxPages: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('The most pages of one pass. A list that has more is a failure, and the cursor stays where it was.'),
  })
  .superRefine((spec, context) => {
    const problem = problemOfTimes(spec);
    if (problem !== undefined) context.addIssue({ code: 'custom', path: [problem[0]], message: problem[1] });
  });
export type PullSpec = z.infer<typeof pullSpec>;

export const pullDocument = documentOf(
  'Pull',
  pullSpec.describe('Which list is read, when, and how an item becomes an event.'),
  'Reads a list of another system again and again, and makes an event of each new item. Flows name it among their sources.',
);
export type PullDocument = z.infer<typeof pullDocument>;
