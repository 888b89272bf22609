import { z } from 'zod';
import { json } from '../json.js';
import { customerKey, name } from '../names.js';
import { deadLetterKinds } from './dead-lettered.js';
import { recordType } from './record.js';

/** The command that a bulk operation gives for each item: a replay of an event, the redelivery of a delivery, or the promotion of the outcome of a trial. */
export const bulkOperationKinds = ['replay', 'redelivery', 'promotion'] as const;
export type BulkOperationKind = (typeof bulkOperationKinds)[number];
/** The list that a bulk operation takes its items from: events, deliveries, the open dead letters of its kind, or the outcomes of a trial. */
export const bulkSelections = ['events', 'deliveries', 'deadLetters', 'outcomes'] as const;
export type BulkSelection = (typeof bulkSelections)[number];
export const maxBulkRatePerSecond = 1_000;

const command = { tenant: name, customer: customerKey, commandId: z.string(), actor: z.string(), at: z.iso.datetime() };

/** The fields that every command carries: whom it is about, its id, who gave it (`key:<id>`, `operator`) and when. */
export type CommandHead = z.infer<z.ZodObject<typeof command>>;

/** Run the event's flows again as a new generation; the stored decisions of the earlier ones stay. */
export const replayEventSchema = z.object({
  ...command,
  eventId: z.string(),
  flow: name.nullable(),
  /**
   * The dead letter of a run of `flow` that it retries: nothing is run if the dead letter is resolved, or a later generation takes the place of that run
   * already. Absent: a replay by will. Builds until 2026-11-30 did not know it.
   */
  deadLetterId: z.string().optional(),
  /** True: `flow` runs if it takes the event, or has run on it before. Builds until 2026-11-30 did not know it, and ran it on any event. */
  onlyIfTaken: z.boolean().optional(),
});
export type ReplayEvent = z.infer<typeof replayEventSchema>;
export const ReplayEvent = recordType('replay-event.v1', replayEventSchema);

/** Make a generation of the event of what a trial has decided on it, and deliver it. An outcome that was promoted already stays as it is. */
export const promoteOutcomeSchema = z.object({ ...command, eventId: z.string(), trialId: z.string() });
export type PromoteOutcome = z.infer<typeof promoteOutcomeSchema>;
export const PromoteOutcome = recordType('promote-outcome.v1', promoteOutcomeSchema);

/** End a run before its decision. One that has ended by then stays as it is. */
export const cancelRunSchema = z.object({ ...command, eventId: z.string(), runId: z.string(), reason: z.string().nullable() });
export type CancelRun = z.infer<typeof cancelRunSchema>;
export const CancelRun = recordType('cancel-run.v1', cancelRunSchema);

/** Try a delivery again at once, with its effect key unchanged and a fresh retry budget. */
export const redeliverSchema = z.object({
  ...command,
  deliveryId: z.string(),
  /** True: also where the destination may take it a second time. Builds until 2026-11-29 did not know it. */
  evenIfTaken: z.boolean().optional(),
});
export type Redeliver = z.infer<typeof redeliverSchema>;
export const Redeliver = recordType('redeliver.v1', redeliverSchema);

/** Give a dead letter up for good: the failed record, run or delivery is dropped, and the records behind it go on. */
export const skipDeadLetterSchema = z.object({
  ...command,
  deadLetterId: z.string(),
  kind: z.enum(deadLetterKinds),
  /** For `kind: delivery`; else null. */
  deliveryId: z.string().nullable(),
});
export type SkipDeadLetter = z.infer<typeof skipDeadLetterSchema>;
export const SkipDeadLetter = recordType('skip-dead-letter.v1', skipDeadLetterSchema);

/** Handle the record of a dead letter of `kind: record` again, then the records behind it. For other kinds a replay or a redelivery is given. */
export const retryDeadLetterSchema = z.object({ ...command, deadLetterId: z.string() });
export type RetryDeadLetter = z.infer<typeof retryDeadLetterSchema>;
export const RetryDeadLetter = recordType('retry-dead-letter.v1', retryDeadLetterSchema);

/** Deliver to a destination again that was disabled before this command was given, and forget its failures. */
export const enableDestinationSchema = z.object({ ...command, destination: name });
export type EnableDestination = z.infer<typeof enableDestinationSchema>;
export const EnableDestination = recordType('enable-destination.v1', enableDestinationSchema);

/** Make an event of a schedule now, beside its ticks. It can be missed: whoever asks looks for the event, and asks again. */
export const fireScheduleSchema = z.object({ ...command, schedule: name });
export type FireSchedule = z.infer<typeof fireScheduleSchema>;
export const FireSchedule = recordType('fire-schedule.v1', fireScheduleSchema, { ifUnknown: 'pass' });

/** Begin a pass of a pull now. It can be missed: whoever asks sees in its progress whether a pass began, and asks again. */
export const startPullSchema = z.object({
  ...command,
  pull: name,
  /** True: from the beginning of the list, as if it had never been read. */
  fromBeginning: z.boolean(),
});
export type StartPull = z.infer<typeof startPullSchema>;
export const StartPull = recordType('start-pull.v1', startPullSchema, { ifUnknown: 'pass' });

const operationCommand = { ...command, kind: z.enum(bulkOperationKinds) };

/**
 * Replays or redelivers everything that the filter finds, at the given rate. It belongs to no customer; the command for each item does.
 * `filter` has the keys that the list of `selection` is filtered by.
 */
export const startBulkOperationSchema = z.object({
  ...operationCommand,
  selection: z.enum(bulkSelections),
  filter: z.record(z.string(), json),
  flow: name.nullable(),
  ratePerSecond: z.int().min(1).max(maxBulkRatePerSecond),
});
export type StartBulkOperation = z.infer<typeof startBulkOperationSchema>;
export const StartBulkOperation = recordType('start-bulk-operation.v1', startBulkOperationSchema);

/** Stop giving commands; those already on the log are carried out. */
export const cancelBulkOperationSchema = z.object({ ...operationCommand, operationId: z.string() });
export type CancelBulkOperation = z.infer<typeof cancelBulkOperationSchema>;
export const CancelBulkOperation = recordType('cancel-bulk-operation.v1', cancelBulkOperationSchema);

/** `try`: of a flow on one event. `backtest`: of a flow on many events that came. */
export const trialKinds = ['try', 'backtest'] as const;
export type TrialKind = (typeof trialKinds)[number];
/** The most events of a trial. */
export const mostEventsOfTrial = 1_000;
/** The most events that a backtest looks at for each that it may take. */
export const looksPerTriedEvent = 50;
/** The longest time of a trial. */
export const longestTrialSeconds = 3_600;
/** The events of a trial. Exactly one is not null. */
const trialEvents = z.object({
  /** An event of the tenant. */
  eventId: z.string().nullable(),
  /** An event that never came. */
  sample: z.object({ type: z.string(), source: name, customer: customerKey, data: json }).nullable(),
  /** The keys that the list of events is filtered by: of what it finds, the latest ones that the flow runs on. */
  filter: z.record(z.string(), json).nullable(),
});
export type TrialEvents = z.infer<typeof trialEvents>;

/**
 * Carry out a flow on events without effects. It can be missed: whoever asks looks for the trial, and asks again.
 * Exactly one of `version` and `document` is not null.
 */
export const startTrialSchema = z.object({
  ...command,
  kind: z.enum(trialKinds),
  flow: name,
  /** The version that is tried, of those that were applied. */
  version: z.int().nullable(),
  /** The document that is tried. */
  document: json,
  events: trialEvents,
  /** The only step that is tried, with those that it needs. */
  step: z.string().nullable(),
  /** Outputs that take the place of steps, by their paths or ids. */
  outputs: z.record(z.string(), json),
  maxEvents: z.int().min(1).max(mostEventsOfTrial),
  maxSeconds: z.int().min(1).max(longestTrialSeconds),
  /** No further event is taken once the calls of models have cost this much. */
  maxCost: z.object({ nanos: z.int().min(0), currency: z.string() }).nullable(),
});
export type StartTrial = z.infer<typeof startTrialSchema>;
export const StartTrial = recordType('start-trial.v1', startTrialSchema, { ifUnknown: 'pass' });

/** Take no further event, and break off those under way. */
export const cancelTrialSchema = z.object({ ...command, trialId: z.string() });
export type CancelTrial = z.infer<typeof cancelTrialSchema>;
export const CancelTrial = recordType('cancel-trial.v1', cancelTrialSchema, { ifUnknown: 'pass' });
