import { topicDefaults } from './topic-store.js';
import type { TopicSpec } from './topic-store.js';

type NumericSettings = { -readonly [K in keyof typeof topicDefaults]: number };

/** Settings a topic can be created with, and their minimum: https://kafka.apache.org/documentation/#topicconfigs */
const numbers: Readonly<Record<string, readonly [field: keyof NumericSettings, min: number]>> = {
  'retention.ms': ['retentionMs', -1],
  'retention.bytes': ['retentionBytes', -1],
  'segment.ms': ['segmentMs', 1],
  'segment.bytes': ['segmentBytes', 14],
  'max.message.bytes': ['maxBatchBytes', 0],
  'message.timestamp.after.max.ms': ['maxAheadMs', 0],
  'message.timestamp.before.max.ms': ['maxBehindMs', 0],
};

/** Settings whose only accepted values are what a single node does. It never compacts: Kafka does not promise when it does either. */
const fixed: Readonly<Record<string, readonly string[]>> = {
  'cleanup.policy': ['delete', 'compact,delete'],
  'min.insync.replicas': ['1'],
  'compression.type': ['producer'],
  'message.timestamp.type': ['CreateTime'],
};

type TopicConfig = { spec: Omit<TopicSpec, 'name' | 'id' | 'partitions'>; problem?: never } | { spec?: never; problem: string };

/** Reads the settings of a new topic. Unsupported settings are refused, not ignored. */
export function readTopicConfig(config: ReadonlyMap<string, string | null>): TopicConfig {
  const spec: NumericSettings = { ...topicDefaults };
  for (const [name, value] of config) {
    const number = numbers[name];
    if (value === null) continue;
    if (number === undefined) {
      if (fixed[name]?.includes(value)) continue;
      return { problem: `The local broker does not offer ${name}=${value}` };
    }
    const [field, min] = number;
    if (!/^-?\d{1,15}$/.test(value) || Number(value) < min) return { problem: `Invalid value ${value} for configuration ${name}` };
    spec[field] = Number(value);
  }
  return { spec };
}
