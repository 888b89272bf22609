import { describe, expect, it } from 'vitest';
import { contentStems } from '../text/english.js';
import { TopicModel } from './topic.js';
import { topicExamples } from './topic-examples.js';

const model = new TopicModel();
const guess = (text: string) => model.guess(contentStems(text));

describe('TopicModel', () => {
  it('has at least twenty examples of each topic', () => {
    for (const { examples } of Object.values(topicExamples)) expect(new Set(examples).size).toBeGreaterThanOrEqual(20);
  });

  it('names only topics as near to a topic', () => {
    const topics = Object.keys(topicExamples);
    expect(Object.values(topicExamples).flatMap(({ near }) => near.filter((topic) => !topics.includes(topic)))).toEqual([]);
  });

  it('knows its own examples', () => {
    const all = Object.entries(topicExamples).flatMap(([topic, { examples }]) => examples.map((example) => guess(example).label === topic));
    expect(all.filter(Boolean).length / all.length).toBeGreaterThan(0.95);
  });

  it('says that it does not know where no word tells', () => {
    expect(guess('xyzzy plugh')).toMatchObject({ label: 'unknown' });
    expect(guess('').label).toBe('unknown');
  });

  it('divides what it believes among the topics', () => {
    const sum = [...guess('Where is the parcel').shares.values()].reduce((total, share) => total + share, 0);
    expect(sum).toBeCloseTo(1);
  });

  it('is not made certain by mere length', () => {
    expect(guess('refund '.repeat(200)).confidence).toBeLessThanOrEqual(1);
    expect(guess('the order and the bill '.repeat(50)).confidence).toBeLessThan(0.95);
  });
});
