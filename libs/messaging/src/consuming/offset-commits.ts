import type { EachBatchPayload } from 'kafkajs';
import { counter, logger, startAtZero } from '#libs/tracing';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { commitMetadata } from './commit-metadata.js';
import type { OwnedPartitions } from './owned-partitions.js';

/** After this many finished records a commit does not wait for the timer. */
const commitEvery = 1_000;

const log = logger('messaging');
const commits = counter('millrace_offset_commits_total', 'Commits of consumer offsets.', {
  group: 'the consumer group',
  outcome: '`ok` or `failed`',
});

type SendCommit = EachBatchPayload['commitOffsetsIfNecessary'];

/** Commits the low watermark of each owned partition, with the finished offsets above it in the metadata. One commit at a time. */
export class OffsetCommits {
  private send: SendCommit | undefined;
  private committing: Promise<void> | undefined;
  private finishedSinceCommit = 0;
  private isSuspended = false;

  constructor(
    private readonly group: Pick<HandlerGroup, 'group' | 'audience'>,
    private readonly partitions: Pick<OwnedPartitions, 'all'>,
  ) {
    startAtZero(commits, { group: group.group, outcome: ['ok', 'failed'] });
  }

  /**
   * Sets the function that later commits use: `commitOffsetsIfNecessary` of the latest batch. `consumer.commitOffsets` would repeat a failed
   * commit under the next generation, for partitions that have another owner by then.
   */
  sendWith(send: SendCommit): void {
    this.send = send;
  }

  /** Commits nothing until {@link resume}. Between the commit before a rejoin and the next assignment, the owned partitions are not known. */
  suspend(): void {
    this.isSuspended = true;
  }

  resume(): void {
    this.isSuspended = false;
  }

  /** Counts one finished record. A thousand of them since the last commit start the next one. */
  countFinished(): void {
    this.finishedSinceCommit += 1;
    if (this.finishedSinceCommit >= commitEvery) void this.commit();
  }

  /** Joins a commit that is under way. A failed commit is repeated by the next one. Never rejects. */
  commit(): Promise<void> {
    this.committing ??= this.commitFinished().finally(() => {
      this.committing = undefined;
    });
    return this.committing;
  }

  /** Commits everything that is finished now, after a commit that is under way. Never rejects. */
  async commitAll(): Promise<void> {
    await this.committing;
    await this.commit();
  }

  private async commitFinished(): Promise<void> {
    const due = this.partitions.all().flatMap((owned) => {
      const snapshot = owned.tracker.snapshot();
      return snapshot === undefined ? [] : [{ owned, snapshot }];
    });
    this.finishedSinceCommit = 0;
    if (due.length === 0 || this.send === undefined || this.isSuspended || this.group.audience === 'every-process') return;
    const topics = [...Map.groupBy(due, ({ owned }) => owned.topic)].map(([topic, ofTopic]) => ({
      topic,
      partitions: ofTopic.map(({ owned, snapshot: { offset, metadata } }) => ({
        partition: owned.partition,
        offset: String(offset),
        metadata: commitMetadata(owned, offset, metadata),
      })),
    }));
    try {
      await this.send({ topics });
      for (const { owned, snapshot } of due) owned.tracker.committed(snapshot);
      commits.inc({ group: this.group.group, outcome: 'ok' });
    } catch (error) {
      commits.inc({ group: this.group.group, outcome: 'failed' });
      log.warn(
        { err: error, group: this.group.group },
        'offsets were not committed; the records are handled again if this process ends now',
      );
    }
  }
}
