import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ViolationKind } from './checker.js';
import type { Plant } from './options.js';

interface PlantedBug {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The run must find at least one of these. */
  readonly shows: readonly ViolationKind[];
}

/** Small changes of the compiled code, each of which breaks one promise. */
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
  // What a destination may have taken is sent again, whatever its class.
  'repeat-unknown': {
    file: 'libs/deliveries/src/second-effect.js',
    from: 'if (effects === undefined || reachedAt === null || reachedAt.getTime() > effects.reachedByMs)',
    to: 'if (true)',
    shows: ['keyless repeat'],
  },
  // Each try of a call has a key of its own.
  'unstable-call-key': {
    file: 'apps/ai-processing/src/runs/run.journal.js',
    from: 'return callKey(this.run, step);',
    to: 'return `${callKey(this.run, step)}-${this.run.fence}`;',
    shows: ['second call'],
  },
  // A step that calls again does not know that an attempt of it may have taken effect.
  'unnoted-call': {
    file: 'apps/ai-processing/src/runs/run.journal.js',
    from: 'return this.reached.get(step);',
    to: 'return undefined;',
    shows: ['second call'],
  },
  // A newer delivery of an object does not take the place of older ones.
  'late-write': {
    file: 'libs/deliveries/src/destination-expressions.js',
    from: 'if (supersede === undefined)',
    to: 'if (true)',
    shows: ['stale write'],
  },
  // The place in a list is stored before the events of its page are on the log, long enough for a kill between the two.
  'early-cursor': {
    file: 'apps/connectors/src/pulls/puller.js',
    from: 'const appended = await this.append(',
    to: `if (page.next !== undefined)
        await this.table.note(claim, { items: 0, repeated: 0, skipped: 0, lastEventId: null, reached: JSON.stringify(reached) }, JSON.stringify(page.next));
      await new Promise((go) => setTimeout(go, 400));
      const appended = await this.append(`,
    shows: ['lost'],
  },
  // A retry makes a generation although its dead letter is resolved, or is retried already.
  'repeated-retry': {
    file: 'apps/ai-processing/src/runs/run.store.js',
    from: `AND letter.resolved_at IS NULL
       AND run_in_place_of(given_up.tenant_id, given_up.event_id, given_up.flow, given_up.generation) IS NULL`,
    to: '',
    shows: ['second effect'],
  },
  // Outputs of a model are used again for other inputs, too.
  'mixed-outputs': {
    file: 'libs/models/src/inference-cache.js',
    from: 'canonical((input ?? null))',
    to: 'null',
    shows: ['cache'],
  },
  // What a trial would deliver is planned, under a generation of its own.
  'delivered-trial': {
    file: 'apps/ai-processing/src/trials/event.trial.js',
    from: 'const sent = await newDeliveries(deciding, deliveries, undefined, this.configuration);',
    to: `const sent = await newDeliveries({ ...deciding, generation: 77 }, deliveries, undefined, this.configuration);
      const { newDeliveryColumns: row } = await import('#libs/deliveries');
      const { statement } = await import('#libs/persistence');
      globalThis.plantedPlan ??= statement('planted.plan', 'SELECT plan_deliveries(' + row.names.split(', ').map((name) => 'array_agg(delivery.' + name + ' ORDER BY number)').join(', ') + ') FROM ' + row.unnestNumbered('delivery', 1) + ' HAVING count(*) > 0');
      await this.table.database.query(globalThis.plantedPlan, row.values(sent));`,
    shows: ['trial'],
  },
};

/**
 * Copies the compiled code for the services of the run, so that a build in the meantime does not change it, and plants these bugs.
 * Returns the folder that has the `dist`.
 */
export function copyCompiledCode(directory: string, plants: readonly Plant[]): string {
  const root = join(directory, 'code');
  mkdirSync(root);
  for (const part of ['dist', 'package.json']) cpSync(part, join(root, part), { recursive: true });
  symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
  for (const plant of plants) change(root, plantedBugs[plant]);
  return root;
}

/** @throws Error if the compiled code has changed, so that no bug would be planted */
function change(root: string, { file, from, to }: PlantedBug): void {
  const path = join(root, 'dist', file);
  const before = readFileSync(path, 'utf8');
  if (before.split(from).length !== 2) throw new Error(`The bug cannot be planted: dist/${file} does not say exactly once: ${from}`);
  writeFileSync(
    path,
    before.replace(from, () => to),
  );
}
