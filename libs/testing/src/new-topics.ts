import type { Admin, ITopicConfig } from 'kafkajs';
import { waitFor } from './wait-for.js';

/**
 * Creates topics, and resolves when every partition has a leader. kafkajs' own `waitForLeaders` fails where the broker that it asks has not heard of
 * the topic yet.
 */
export async function createTopics(admin: Admin, topics: ITopicConfig[]): Promise<void> {
  await admin.createTopics({ waitForLeaders: false, topics });
  const names = topics.map(({ topic }) => topic).join(', ');
  await waitFor(() => Promise.all(topics.map(({ topic }) => admin.fetchTopicOffsets(topic))), {
    what: `the leaders of ${names}`,
    everyMs: 50,
  });
}
