import type { Lane } from './names.js';
import {
  CancelBulkOperation,
  CancelRun,
  CancelTrial,
  EnableDestination,
  FireSchedule,
  PromoteOutcome,
  Redeliver,
  ReplayEvent,
  RetryDeadLetter,
  SkipDeadLetter,
  StartBulkOperation,
  StartPull,
  StartTrial,
} from './records/commands.js';
import { ContinueRun } from './records/continue-run.js';
import { ConfigurationPublished } from './records/configuration-published.js';
import { DecisionReplied } from './records/decision-replied.js';
import { DeadLettered } from './records/dead-lettered.js';
import { DeliveryAttempted, DeliveryRecovered } from './records/deliveries.js';
import { DraftWritten } from './records/draft-written.js';
import { EventReceived } from './records/event-received.js';
import { EventRecorded, RunCompleted, RunFailed } from './records/outcomes.js';
import type { Topic } from './records/record.js';
import { RequestReceived } from './records/request-received.js';

const day = 86_400_000;
const events = (lane: Lane): Topic => ({
  name: `events.${lane}`,
  partitions: 24,
  retentionMs: 7 * day,
  priority: lane,
  types: [EventReceived],
});

/** Every topic of the log. */
export const topics = {
  eventsHigh: events('high'),
  eventsNormal: events('normal'),
  eventsLow: events('low'),
  outcomes: { name: 'outcomes', partitions: 24, retentionMs: 7 * day, types: [EventRecorded, RunCompleted, RunFailed] },
  deliveries: { name: 'deliveries', partitions: 6, retentionMs: 7 * day, types: [DeliveryAttempted] },
  commands: {
    name: 'commands',
    partitions: 6,
    retentionMs: 7 * day,
    types: [
      ReplayEvent,
      Redeliver,
      SkipDeadLetter,
      RetryDeadLetter,
      EnableDestination,
      StartBulkOperation,
      CancelBulkOperation,
      FireSchedule,
      StartPull,
      ContinueRun,
      CancelRun,
      StartTrial,
      CancelTrial,
      PromoteOutcome,
    ],
  },
  requests: { name: 'requests', partitions: 6, retentionMs: day, types: [RequestReceived] },
  configuration: { name: 'configuration', partitions: 1, retentionMs: 7 * day, isCompacted: true, types: [ConfigurationPublished] },
  /** One partition, because every process reads all of it, and only while somebody waits there. */
  replies: { name: 'replies', partitions: 1, retentionMs: day, types: [DecisionReplied, DraftWritten] },
  deadLetters: { name: 'dead-letters', partitions: 6, retentionMs: 30 * day, types: [DeadLettered, DeliveryRecovered] },
} as const satisfies Record<string, Topic>;

/** The topic of each lane. */
export const eventTopics: Record<Lane, Topic> = { high: topics.eventsHigh, normal: topics.eventsNormal, low: topics.eventsLow };
