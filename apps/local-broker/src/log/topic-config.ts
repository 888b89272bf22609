import { topicDefaults } from './topic-store.js';
import type { TopicSpec } from './topic-store.js';

type Numbers = { -readonly [K in keyof typeof topicDefaults]: number };

/** What a topic can be created with, and the least that makes sense: https://kafka.apache.org/documentation/#topicconfigs */
const numbers: Readonly<Record<string, readonly [field: keyof Numbers, min: number]>> = {
  'retention.ms': ['retentionMs', -1],
  'retention.bytes': ['retentionBytes', -1],
  'segment.ms': ['segmentMs', 1],
  'segment.bytes': ['segmentBytes', 14],
  'max.message.bytes': ['maxBatchBytes', 0],
};

/** What one node without compaction does anyway. */
const fixed: Readonly<Record<string, readonly string[]>> = {
  'cleanup.policy': ['delete'],
  'min.insync.replicas': ['1'],
  'compression.type': ['producer'],
  'message.timestamp.type': ['CreateTime'],
};

type Config = { spec: Omit<TopicSpec, 'name' | 'partitions'>; problem?: never } | { spec?: never; problem: string };

/** Refuses what it would not do, rather than forget it. */
export function readTopicConfig(config: ReadonlyMap<string, string | null>): Config {
  const spec: Numbers = { ...topicDefaults };
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
