import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ViolationKind } from './checker.js';
import type { Plant } from './options.js';

interface PlantedBug {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What the run must find, one of these at least. */
  readonly shows: readonly ViolationKind[];
}

/** One small change of the compiled code each: what the product would do if the idea were not there. */
export const plantedBugs: Record<Plant, PlantedBug> = {
  // An offset counts as finished when its record is queued.
  'commit-early': {
    file: 'libs/messaging/src/consuming/group-consumer.js',
    from: 'owned.holds.add(key, work);',
    to: 'owned.tracker.finished(record.offset); owned.holds.add(key, work);',
    shows: ['offset', 'lost'],
  },
  // A repeat of an event is another event.
  'no-dedupe': {
    file: 'libs/contracts/src/identifiers.js',
    from: '`evt_${digest([tenant, source, kind, value])}`',
    to: '`evt_${digest([tenant, source, kind, value, Math.random()])}`',
    shows: ['second effect'],
  },
  // Records go to any partition.
  'wrong-key': {
    file: 'libs/messaging/src/kafka/partitioner.js',
    from: '(murmur2(key) & 0x7fff_ffff) % partitions',
    to: 'Math.floor(Math.random() * partitions)',
    shows: ['order'],
  },
};

/**
 * A copy of the compiled code for the run's services, so that a build meanwhile changes nothing in it; with a bug, where one is to be planted.
 * Returns the folder with its `dist`.
 */
export function copyCompiledCode(directory: string, plant: Plant | undefined): string {
  const root = join(directory, 'code');
  mkdirSync(root);
  for (const part of ['dist', 'package.json']) cpSync(part, join(root, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  if (plant !== undefined) change(root, plantedBugs[plant]);
  return root;
}

/** @throws Error where the code reads differently by now, so that no bug would be planted */
function change(root: string, { file, from, to }: PlantedBug): void {
  const path = join(root, 'dist', file);
  const before = readFileSync(path, 'utf8');
  if (before.split(from).length !== 2) throw new Error(`The bug cannot be planted: dist/${file} does not say exactly once: ${from}`);
  writeFileSync(
    path,
    before.replace(from, () => to),
  );
}
