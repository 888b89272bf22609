import { ResolveField, Resolver } from '@nestjs/graphql';
import type { TimelineEntryResolvers, TimelineKind } from '../generated/schema.js';
import type { TimelineRow } from './timeline.table.js';

@Resolver('TimelineEntry')
export class TimelineEntryResolver implements TimelineEntryResolvers {
  @ResolveField()
  title(entry: TimelineRow): string {
    return titles[entry.kind](entry);
  }
}

const titles: Record<TimelineKind, (entry: TimelineRow) => string> = {
  received: ({ subject }) => `Received from ${subject}`,
  recorded: () => 'Recorded',
  runStarted: ({ subject, detail }) =>
    detail === '0' ? `Flow ${subject} started` : `Flow ${subject} started again (generation ${detail})`,
  modelAttempt: ({ subject, step, attempt, code }) =>
    code === null ? `Model ${subject} answered for ${step}` : `Model ${subject} failed for ${step}, attempt ${attempt}`,
  stepFinished: ({ subject, step, detail }) => (detail === 'skipped' ? `Step ${step} was skipped` : `Step ${step} (${subject}) finished`),
  runCompleted: ({ subject }) => `Flow ${subject} reached its decision`,
  runFailed: ({ subject, detail }) => `Flow ${subject} failed: ${detail}`,
  deliveryScheduled: ({ subject }) => `Delivery to ${subject} scheduled`,
  deliveryAttempt: ({ subject, detail, code, attempt }) =>
    code === null ? `Delivered to ${subject} (${detail})` : `Delivery to ${subject} failed, attempt ${attempt} (${detail ?? code})`,
  parked: ({ subject, detail }) => `Gave up on the ${subject}: ${detail}`,
  replayRequested: ({ subject }) => (subject === null ? 'Replay requested' : `Replay of flow ${subject} requested`),
  redeliveryRequested: ({ subject }) => `Redelivery to ${subject} requested`,
};
