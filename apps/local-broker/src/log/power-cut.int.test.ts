import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeededRandom } from '#libs/testing';
import { errorCodes } from '../wire/error-codes.js';
import { batchOf, batchesIn } from './batches-for-tests.js';
import { FailingDisk } from './failing-disk.js';
import { TopicStore, topicDefaults } from './topic-store.js';

/** Small, so that a short run fills journals and segments many times over. */
const small = { segmentBytes: 600, journalBytes: 1_500 };
const partitions = 3;

/** The acknowledged batches, and the number of batches sent. */
class ExpectedLog {
  readonly acknowledged: Map<number, string>[] = Array.from({ length: partitions }, () => new Map());
  sent = 0;

  /** Finds acknowledged batches that are missing, batches that were never sent or are stored twice, and holes in the offsets. */
  async violations(store: TopicStore): Promise<string[]> {
    const found: string[] = [];
    for (const [partition, acknowledged] of this.acknowledged.entries()) {
      const log = store.partition('notes', partition)!;
      const stored = new Map<number, string>();
      for (let offset = 0; offset < log.endOffset; offset += 1) {
        const [batch] = batchesIn(await log.read(offset, 1));
        if (batch === undefined || batch[0] !== offset) found.push(`a hole at ${partition}/${offset}`);
        else stored.set(offset, batch[1]);
        if (!/^batch \d+ x*$/.test(batch?.[1] ?? '')) found.push(`${partition}/${offset} was never sent`);
      }
      for (const [offset, payload] of acknowledged) if (stored.get(offset) !== payload) found.push(`${partition}/${offset} is lost`);
      if (new Set(stored.values()).size !== stored.size) found.push(`${partition} has something twice`);
    }
    return found;
  }
}

async function open(directory: string, disk: FailingDisk): Promise<TopicStore> {
  const store = await TopicStore.open({
    directory,
    journalBytes: small.journalBytes,
    retentionBytes: 1e9,
    onNote: () => undefined,
    openFile: disk.openFile,
  });
  await store.create({ ...topicDefaults, name: 'notes', partitions, segmentBytes: small.segmentBytes });
  return store;
}

/** Sends group after group, each all at once, until the disk fails. */
async function work(store: TopicStore, model: ExpectedLog, groups: number, random: SeededRandom): Promise<void> {
  for (let group = 0; group < groups; group += 1) {
    const appends = Array.from({ length: 1 + random.below(5) }, async () => {
      const partition = random.below(partitions);
      const payload = `batch ${(model.sent += 1)} ${'x'.repeat(random.below(120))}`;
      const { error, baseOffset } = await store.partition('notes', partition)!.append(batchOf(1, { payload }));
      if (error === errorCodes.none) model.acknowledged[partition]!.set(baseOffset, payload);
    });
    await Promise.all(appends);
    if (random.next() < 0.1) await store.applyRetention().catch(() => undefined);
  }
}

async function inNewDirectory<T>(run: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-power-'));
  try {
    return await run(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test(
  'the power goes at any write or sync, again and again: what was acknowledged is there, what was not is there whole or not at all',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }), (seed, cuts) =>
        inNewDirectory(async (directory) => {
          const random = new SeededRandom(seed);
          const model = new ExpectedLog();
          for (const cut of cuts) {
            const disk = new FailingDisk();
            let store: TopicStore | undefined;
            try {
              store = await open(directory, disk);
              expect(await model.violations(store)).toEqual([]);
              disk.powerCutAt = disk.operations + cut;
              await work(store, model, 15, random);
            } finally {
              disk.powerCutAt = 0;
              await store?.close().catch(() => undefined);
            }
            await disk.losePower(() => random.next());
            // Recovery itself can be cut off.
            const second = new FailingDisk();
            second.powerCutAt = 1 + random.below(12);
            await open(directory, second).then(
              (recovered) => recovered.close().catch(() => undefined),
              () => undefined,
            );
            await second.losePower(() => random.next());
          }
          const store = await open(directory, new FailingDisk());
          expect(await model.violations(store)).toEqual([]);
          await store.close();
        }),
      ),
      { numRuns: 60 },
    );
  },
);

test('a journal that is cut or damaged at any byte counts up to the last whole group before', { timeout: 120_000 }, () =>
  inNewDirectory(async (directory) => {
    const disk = new FailingDisk();
    const store = await open(directory, disk);
    const journal = join(directory, 'journal', '0');
    const groups: { bytes: number; ends: number[] }[] = [];
    const ends = () => Array.from({ length: partitions }, (_, partition) => store.partition('notes', partition)!.endOffset);
    for (let group = 0; group < 4; group += 1) {
      await Promise.all(
        [0, 1, 2, group % 3].map((partition) => store.partition('notes', partition)!.append(batchOf(1, { payload: `batch ${group} ` }))),
      );
      groups.push({ bytes: (await readFile(journal)).length, ends: ends() });
    }
    disk.powerCutAt = 0;
    await store.close().catch(() => undefined);
    const whole = await readFile(journal);
    const endsAfter = async (content: Buffer): Promise<number[]> => {
      for (const partition of [0, 1, 2]) await rm(join(directory, 'notes', String(partition)), { recursive: true });
      await writeFile(journal, content);
      const recovered = await open(directory, new FailingDisk());
      const found = Array.from({ length: partitions }, (_, partition) => recovered.partition('notes', partition)!.endOffset);
      await recovered.close();
      return found;
    };
    for (let at = 0; at < whole.length; at += 23) {
      const expected = groups.findLast(({ bytes }) => bytes <= at)?.ends ?? [0, 0, 0];
      expect(await endsAfter(whole.subarray(0, at)), `cut at ${at}`).toEqual(expected);
      const damaged = Buffer.from(whole);
      damaged.writeUInt8(damaged[at]! ^ 0x55, at);
      expect(await endsAfter(damaged), `damaged at ${at}`).toEqual(expected);
    }
    expect(await readdir(join(directory, 'journal'))).toEqual(['0', '1']);
  }),
);
