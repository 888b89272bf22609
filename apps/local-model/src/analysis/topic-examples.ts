import examples from './topic-examples.json' with { type: 'json' };

export type TopicName = keyof typeof examples;

interface TopicExamples {
  /** Words in a caller's label that mean the topic. */
  readonly aliases: readonly string[];
  /** Topics whose labels are taken if none of the caller's labels means this one. */
  readonly near: readonly TopicName[];
  /** Training texts. */
  readonly examples: readonly string[];
}

export const topicExamples = examples as Readonly<Record<TopicName, TopicExamples>>;
