import { afterEach, expect, test } from 'vitest';
import { DraftWritten, eventId as eventIdOf, topics } from '#libs/contracts';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { testBrokers, uniqueName, waitFor } from '#libs/testing';
import { Drafts } from './drafts.js';
import { ReplyFollower } from './reply.follower.js';
import { WaitingCallers } from './waiting-callers.js';

const running: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.close()));
});

test('a caller who came while the log could not be read is told as soon as it can, and nobody else has to come', async () => {
  const options = { brokers: testBrokers(), prefix: `${uniqueName('follower')}.`, clientId: 'test', replication: 1, ackTimeoutMs: 5_000 };
  const [drafts, callers] = [new Drafts(), new WaitingCallers({ ofProcess: 1, ofTenant: 1 })];
  const follower = new ReplyFollower(options, callers, drafts);
  running.push({ close: () => follower.onApplicationShutdown() });
  const [tenant, customer] = ['acme', uniqueName('c')];
  const eventId = eventIdOf(tenant, 'triage', { requestId: 'early' });
  using _caller = callers.enter(tenant, eventId);
  await follower.follow(); // there is no topic yet
  await ensureTopics(options, [topics.replies]);
  const producer = new RecordProducer(options);
  running.push({ close: () => producer.disconnect() });
  await producer.connect();
  await producer.append(topics.replies, DraftWritten, { tenant, customer, eventId, fence: 1, number: 1, at: 0, text: 'early' });
  await waitFor(() => drafts.isKnown(tenant, eventId), { what: 'the part' });
  expect(drafts.after(tenant, eventId, undefined)).toMatchObject({ kind: 'draft', text: 'early' });
});
