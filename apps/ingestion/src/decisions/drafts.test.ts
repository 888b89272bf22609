import { beforeEach, describe, expect, it } from 'vitest';
import type { DraftWritten } from '#libs/contracts';
import { SeededRandom } from '#libs/testing';
import { registry } from '#libs/tracing';
import { Drafts } from './drafts.js';
import type { DraftNews, DraftPlace } from './drafts.js';

let nowMs: number;
let drafts: Drafts;
beforeEach(() => {
  nowMs = 0;
  drafts = new Drafts(() => nowMs);
});

const eventId = 'evt_1';
const part = (more: Partial<DraftWritten>): DraftWritten => {
  return { tenant: 'acme', customer: 'c-1', eventId, fence: 1, number: 1, at: 0, text: '', ...more };
};
const take = (...parts: Partial<DraftWritten>[]): void => parts.forEach((more) => drafts.take(part(more)));

/** A caller who has a draft up to a place, and what it was told. */
class Reader {
  text = '';
  readonly told: string[] = [];

  constructor(public place?: DraftPlace) {}

  read(from = drafts, tenant = 'acme'): this {
    for (let next; (next = from.after(tenant, eventId, this.place)) !== undefined;) this.hear(next);
    return this;
  }

  hear(news: DraftNews): void {
    this.place = news.place;
    this.told.push(news.kind);
    if (news.kind === 'restart') this.text = '';
    if (news.kind === 'draft') this.text += news.text;
    if (news.kind === 'skipped') this.text += `[${news.characters}]`;
  }
}

describe('a draft', () => {
  it('is told from its beginning to a caller who has nothing, in one piece as far as it is known', () => {
    take({ text: 'one, ' }, { at: 5, text: 'two' });
    expect(new Reader().read()).toMatchObject({ text: 'one, two', told: ['draft'] });
  });

  it('is told once, and goes on where the caller stands', () => {
    take({ text: 'one, ' });
    const reader = new Reader().read().read();
    take({ at: 5, text: 'two' });
    expect(reader.read()).toMatchObject({ text: 'one, two', told: ['draft', 'draft'] });
  });

  it('begins anew with a greater number, and with a greater fence', () => {
    const reader = new Reader();
    take({ text: 'one' });
    reader.read();
    take({ number: 2 });
    expect(reader.read()).toMatchObject({ text: '', told: ['draft', 'restart'] });
    take({ number: 2, text: 'two' });
    reader.read();
    take({ fence: 2, text: 'three' });
    expect(reader.read()).toMatchObject({ text: 'three', told: ['draft', 'restart', 'draft', 'restart', 'draft'] });
  });

  it('hears nothing of a process that has lost the run', () => {
    take({ fence: 2, text: 'three' }, { fence: 1, number: 9, text: 'one' });
    expect(new Reader().read().text).toBe('three');
  });

  it('takes a part that comes twice once', () => {
    take({ text: 'one, ' }, { at: 5, text: 'two' }, { at: 5, text: 'two' }, { at: 3, text: ', two, three' });
    expect(new Reader().read().text).toBe('one, two, three');
  });

  it('says how much of it is missing', () => {
    take({ text: 'one' });
    const reader = new Reader().read();
    take({ at: 8, text: 'three' });
    expect(reader.read().text).toBe('one[5]three');
    expect(new Reader().read().text).toBe('[8]three');
  });

  it('waits for what the caller has heard elsewhere already', () => {
    take({ text: 'one' });
    const ahead = new Reader({ fence: 1, number: 1, at: 8 });
    expect(ahead.read().told).toEqual([]);
    take({ at: 3, text: ', two, three' });
    expect(ahead.read().text).toBe(', three');
    expect(new Reader({ fence: 3, number: 1, at: 0 }).read().told).toEqual([]);
  });

  it('is of one tenant and one event', () => {
    take({ text: 'one' });
    expect(new Reader().read(drafts, 'globex').told).toEqual([]);
  });

  it('never ends within a character', () => {
    take({ text: 'a\ud83d' });
    const reader = new Reader().read();
    expect(reader.text).toBe('a');
    take({ at: 2, text: '\ude00b' });
    expect(reader.read().text).toBe('a😀b');
    take({ number: 2, text: '😀'.repeat(5_000) });
    const long = new Reader();
    for (let next; (next = drafts.after('acme', eventId, long.place)) !== undefined;) {
      if (next.kind === 'draft') expect(next.text.isWellFormed()).toBe(true);
      long.hear(next);
    }
    expect(long.text).toBe('😀'.repeat(5_000));
  });

  it('that is not read to its end is skipped as a whole, and counted', async () => {
    const skipped = async (): Promise<number> =>
      Number(/millrace_draft_characters_skipped_total (\d+)/.exec(await registry.metrics())?.[1] ?? 0);
    take({ text: 'x'.repeat(10_000) });
    const before = await skipped();
    expect(drafts.rest('acme', eventId, { fence: 1, number: 1, at: 100 })).toMatchObject({ kind: 'skipped', at: 100, characters: 9_900 });
    expect((await skipped()) - before).toBe(9_900);
    expect(drafts.rest('acme', eventId, { fence: 1, number: 1, at: 10_000 })).toBeUndefined();
  });
});

describe('the memory of drafts', () => {
  const grow = (id: string, characters: number, tenant = 'acme'): void =>
    drafts.take(part({ tenant, eventId: id, text: 'x'.repeat(characters) }));

  it('keeps the end of a draft that is too long', () => {
    take({ text: 'a'.repeat(262_144) }, { at: 262_144, text: 'b'.repeat(100) });
    const { text } = new Reader().read();
    expect(text.slice(0, 5)).toBe('[100]');
    expect(text.length).toBe(5 + 262_144);
  });

  it('lets go of what did not grow for 30 s when something comes', () => {
    take({ text: 'one' });
    nowMs = 30_000;
    grow('evt_2', 1);
    expect(drafts.isKnown('acme', eventId)).toBe(true);
    nowMs = 30_001;
    grow('evt_2', 1);
    expect(drafts.isKnown('acme', eventId)).toBe(false);
  });

  it('gives a tenant a share: beyond it, its own oldest draft goes, and no other', () => {
    grow('evt_other', 1_000, 'globex');
    for (let at = 0; at < 17; at += 1) grow(`evt_${at}`, 262_144);
    expect(drafts.isKnown('globex', 'evt_other')).toBe(true);
    expect([0, 1, 2].map((at) => drafts.isKnown('acme', `evt_${at}`))).toEqual([false, true, true]);
  });

  it('keeps no more than 16 Mi characters, those that grew last', () => {
    for (let at = 0; at < 65; at += 1) grow('evt_1', 262_144, `tenant-${at}`);
    expect([0, 1].map((at) => drafts.isKnown(`tenant-${at}`, 'evt_1'))).toEqual([false, true]);
    drafts.clear();
    expect(drafts.isKnown('tenant-1', 'evt_1')).toBe(false);
  });
});

it('a caller who comes again at any point, to any process, ends with the text of the last draft', () => {
  const random = new SeededRandom(11);
  for (let round = 0; round < 300; round += 1) {
    const processes = [new Drafts(), new Drafts(), new Drafts()];
    const heard = processes.map(() => 0);
    const parts: DraftWritten[] = [];
    let last = '';
    for (let fence = 1; fence <= 1 + random.below(2); fence += 1) {
      for (let number = 1; number <= 1 + random.below(3); number += 1) {
        last = '';
        parts.push(part({ fence, number }));
        for (let left = random.below(6); left > 0; left -= 1) {
          const text = random.pick(['{"a":', '😀', '1', ' ', '"längere Wörter"']);
          parts.push(part({ fence, number, at: last.length, text }));
          last += text;
        }
      }
    }
    const reader = new Reader();
    for (let step = 0; step < 40; step += 1) {
      const at = random.below(processes.length);
      const until = Math.min(parts.length, heard[at]! + random.below(4));
      for (; heard[at]! < until; heard[at]! += 1) processes[at]!.take(parts[heard[at]!]!);
      if (random.below(2) === 0) reader.read(processes[at]);
    }
    for (const one of parts.slice(heard[0])) processes[0]!.take(one);
    reader.read(processes[0]);
    expect(reader.text).toBe(last);
  }
});
