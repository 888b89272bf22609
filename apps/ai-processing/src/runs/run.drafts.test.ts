import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DraftWritten, topics } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import type { RecordProducer } from '#libs/messaging';
import { SeededRandom } from '#libs/testing';
import { RunDrafts } from './run.drafts.js';
import type { RunDraft } from './run.drafts.js';
import type { RunningRun } from './run.store.js';

const run = { tenant: 'acme', customer: 'c-1', eventId: 'evt_1', flow: 'triage', generation: 0, fence: 3 } as RunningRun;
const eventUntil = (until: string, draft = true): EventReceived =>
  ({ request: { flow: 'triage', flowVersion: 1, reply: { to: 'door', until, draft } } }) as EventReceived;
const now = Date.UTC(2026, 10, 30, 12);
const event = eventUntil(new Date(now + 20_000).toISOString());

let sent: DraftWritten[];
/** Answers the appends that wait. */
let acknowledge: ((error?: Error) => void)[];
let isLogSlow: boolean;
let drafts: RunDrafts;
let draft: RunDraft;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'], now });
  sent = [];
  acknowledge = [];
  isLogSlow = false;
  const append = (topic: unknown, type: typeof DraftWritten, value: DraftWritten): Promise<unknown> => {
    expect([topic, type]).toEqual([topics.replies, DraftWritten]);
    sent.push(type.check.parse(value));
    if (!isLogSlow) return Promise.resolve();
    return new Promise((resolve, reject) => acknowledge.push((error) => (error === undefined ? resolve(undefined) : reject(error))));
  };
  drafts = new RunDrafts({ append } as unknown as RecordProducer);
  draft = drafts.of(run, event)!;
});
afterEach(() => {
  draft[Symbol.dispose]();
  vi.useRealTimers();
});

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const texts = (): string[] => sent.map(({ number, at, text }) => `${number}@${at} ${text}`);

describe('a draft that a caller follows', () => {
  it('is sent at once, and then in parts of what was written meanwhile', async () => {
    draft.add('a');
    await pass(0);
    draft.add('b');
    draft.add('c');
    await pass(74);
    expect(texts()).toEqual(['1@0 a']);
    await pass(1);
    expect(texts()).toEqual(['1@0 a', '1@1 bc']);
    expect(sent[1]).toEqual({ tenant: 'acme', customer: 'c-1', eventId: 'evt_1', fence: 3, number: 1, at: 1, text: 'bc' });
  });

  it('begins anew where its text is void, which is said also if nothing follows', async () => {
    draft.add('ab');
    await pass(0);
    draft.add('c');
    draft.restart();
    await pass(75);
    draft.add('d');
    await pass(75);
    expect(texts()).toEqual(['1@0 ab', '2@0 ', '2@0 d']);
  });

  it('has its last part sent when the run ends, before a reply that is appended then, and nothing later', async () => {
    draft.add('a');
    await pass(0);
    draft.add('b');
    draft[Symbol.dispose]();
    expect(texts()).toEqual(['1@0 a', '1@1 b']);
    draft.add('late');
    draft.restart();
    await pass(1_000);
    expect(sent).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gathers in one part while the log is slow, and loses its oldest text beyond the limit', async () => {
    isLogSlow = true;
    draft.add('a');
    await pass(0);
    for (let at = 0; at < 100; at += 1) {
      draft.add('x'.repeat(1_000));
      await pass(100);
    }
    expect(sent).toHaveLength(1);
    expect(drafts.waiting).toBe(65_536);
    acknowledge.pop()!();
    await pass(75);
    expect(sent[1]).toMatchObject({ number: 1, at: 1 + 100_000 - 65_536 });
    expect(sent[1]!.text.length).toBe(65_536);
    expect(drafts.waiting).toBe(0);
  });

  it('goes on behind a part that the log did not take', async () => {
    isLogSlow = true;
    draft.add('a');
    await pass(0);
    draft.add('b');
    acknowledge.pop()!(new Error('away'));
    await pass(75);
    expect(texts()).toEqual(['1@0 a', '1@1 b']);
  });

  it('is not sent any more when its caller is gone for longer than clocks differ', async () => {
    await pass(25_000);
    draft.add('a');
    await pass(100);
    expect(sent).toEqual([]);
  });

  it('is sent more rarely where there are many', async () => {
    const others = Array.from({ length: 199 }, () => drafts.of(run, event)!);
    expect(drafts.partEveryMs).toBe(200);
    for (const other of others) other[Symbol.dispose]();
    expect(drafts.partEveryMs).toBe(75);
  });
});

it('all drafts together keep no more than 8 Mi characters for a log that is away', async () => {
  isLogSlow = true;
  const many = Array.from({ length: 300 }, () => drafts.of(run, event)!);
  for (const one of many) one.add('a');
  await pass(1_000);
  for (const one of many) one.add('x'.repeat(65_536));
  expect(drafts.waiting).toBeLessThanOrEqual(8 * 1_048_576);
  for (const one of many) one[Symbol.dispose]();
  expect(drafts.waiting).toBe(0);
});

it.each<[string, Partial<RunningRun>, EventReceived]>([
  ['the request of a caller who does not follow it', {}, eventUntil(event.request!.reply!.until, false)],
  ['an event that is no request', {}, {} as EventReceived],
  ['a replay', { generation: 1 }, event],
  ['another flow', { flow: 'other' }, event],
])('there is no draft of %s', (_, more, of) => {
  expect(drafts.of({ ...run, ...more }, of)).toBeUndefined();
});

it('the parts of a draft are its text, whenever they are sent', async () => {
  const random = new SeededRandom(5);
  for (let round = 0; round < 50; round += 1) {
    vi.setSystemTime(now);
    const one = drafts.of(run, event)!;
    sent = [];
    let text = '';
    for (let step = 0; step < 30; step += 1) {
      const more = random.pick(['a', '😀', '{"b":', 'restart', '']);
      if (more === 'restart') one.restart();
      else one.add(more);
      text = more === 'restart' ? '' : text + more;
      await pass(random.below(60));
    }
    one[Symbol.dispose]();
    const last = sent.filter(({ number }) => number === sent.at(-1)!.number);
    expect(last.reduce((whole, part) => whole.slice(0, part.at) + part.text, '')).toBe(text);
  }
});
