import { z } from 'zod';
import { fieldsOf, part } from '../operations/part.js';
import { timelineEntry } from './timeline.operations.js';
import type { TimelineKind } from './timeline.operations.js';
import { TimelineTable } from './timeline.table.js';
import type { TimelineRow } from './timeline.table.js';

export const timelinePart = part({
  providers: [TimelineTable],
  fields: [
    fieldsOf<TimelineRow>(timelineEntry, (field) => ({
      title: field(z.string().describe('One line for people.'), (entry) => titles[entry.kind](entry)),
    })),
  ],
  operations: [],
});

const titles: Record<TimelineKind, (entry: TimelineRow) => string> = {
  received: ({ subject }) => `Received from ${subject}`,
  recorded: () => 'Recorded',
  runStarted: ({ subject, detail }) =>
    detail === '0' ? `Flow ${subject} started` : `Flow ${subject} started again (generation ${detail})`,
  modelAttempt: ({ subject, step, attempt, code, detail }) =>
    code === null ? `Model ${subject} answered for ${step}` : `Model ${subject} failed for ${step}, attempt ${attempt}: ${detail ?? code}`,
  modelPassedOver: ({ subject, step, code, detail }) => `Model ${subject} was passed over for ${step}: ${detail ?? code}`,
  operationAttempt: ({ subject, step, detail }) => operationTitles[detail ?? 'unknown']!(`Operation ${subject} of ${step}`),
  stepBegan: ({ subject, step }) =>
    subject === 'wait' ? `Step ${step?.split(':')[0]} waits` : `Step ${step?.split(':')[0]} (${subject}) began the steps within it`,
  runDelayed: ({ subject, step, detail }) => `Flow ${subject} has to wait${step === null ? '' : ` at ${step}`}: ${detail}`,
  reviewRequested: ({ step, detail }) => `Step ${step} asks a person${detail === null ? '' : `: ${detail}`}`,
  reviewEscalated: ({ step }) => `The review of ${step} was escalated`,
  reviewEnded: ({ step, subject, actor, detail }) =>
    `The review of ${step} was ${actor === null ? `${reviewEnds[subject!] ?? subject}` : `${subject} by ${actor}`}${detail === null ? '' : `: ${detail}`}`,
  stepFinished: ({ subject, step, detail, code, actor }) => {
    if (detail === 'skipped') return `Step ${step} was skipped`;
    if (actor !== null) return `Step ${step} has the decision that ${actor} made on the same question of an earlier run`;
    return code === null ? `Step ${step} (${subject}) finished` : `Step ${step} (${subject}) fell back`;
  },
  stepFailed: ({ step, code }) => `Step ${step?.split(':')[0]} failed (${code})`,
  runCompleted: ({ subject, code }) =>
    code === null ? `Flow ${subject} reached its decision` : `The default decision of flow ${subject} counts (${code})`,
  runFailed: ({ subject, detail }) => `Flow ${subject} failed: ${detail}`,
  deliveryScheduled: ({ subject }) => `Delivery to ${subject} scheduled`,
  deliveryAttempt: ({ subject, detail, code, attempt }) =>
    code === null ? `Delivered to ${subject} (${detail})` : `Delivery to ${subject} failed, attempt ${attempt} (${detail ?? code})`,
  parked: ({ subject, detail }) => `Gave up on the ${subject}: ${detail}`,
  skipped: ({ subject, actor }) => `The ${subject} was skipped${actor === null ? '' : ` by ${actor}`}`,
  replayRequested: ({ subject }) => (subject === null ? 'Replay requested' : `Replay of flow ${subject} requested`),
  redeliveryRequested: ({ subject }) => `Redelivery to ${subject} requested`,
};

const reviewEnds: Record<string, string> = {
  expired: 'not decided in time: the default counts',
  withdrawn: 'withdrawn: its run ended without it',
};

const operationTitles: Record<string, (operation: string) => string> = {
  succeeded: (operation) => `${operation} succeeded`,
  failed: (operation) => `${operation} failed`,
  uncertain: (operation) => `${operation} failed, and may have taken effect`,
  unknown: (operation) => `${operation} was sent; its result is not known`,
};
