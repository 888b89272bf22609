import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

const timersOfNode = {
  'setTimeout(() => undefined, 1);': 'no-restricted-globals',
  'setInterval(() => undefined, 1);': 'no-restricted-globals',
  'globalThis.setTimeout(() => undefined, 1);': 'no-restricted-properties',
  'AbortSignal.timeout(1);': 'no-restricted-properties',
  "import { setTimeout } from 'node:timers/promises';": 'no-restricted-imports',
  "import { setInterval } from 'timers';": 'no-restricted-imports',
};

/** The rule that each of these lines of a service breaks. */
async function refusals(sources: readonly string[]): Promise<Record<string, string | undefined>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-lint-'));
  try {
    const files = sources.map((source, at) => [path.join(folder, `line-${at}.ts`), source] as const);
    await Promise.all(files.map(([file, source]) => writeFile(file, `${source}\n`)));
    const { stdout } = spawnSync(
      process.execPath,
      [`${root}node_modules/oxlint/bin/oxlint`, '--config', `${root}.oxlintrc.json`, '--format', 'unix', folder],
      { cwd: root, encoding: 'utf8' },
    );
    const refused = files.map(([file, source]) => {
      const lines = stdout.split('\n').filter((line) => line.includes(path.basename(file)));
      return [source, /no-restricted-\w+|(?<=millrace\()[\w-]+/.exec(lines.join('\n'))?.[0]] as const;
    });
    return Object.fromEntries(refused);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Only `libs/time` may start timers, because Node fires one that is longer than 2^31 ms at once. */
test('the lint refuses each way to start a timer without libs/time', async () => {
  expect(await refusals(Object.keys(timersOfNode))).toEqual(timersOfNode);
});

/** `JSON.parse` changes the digits of large numbers, and has no limit of depth. */
test('the lint refuses to read JSON without libs/json', async () => {
  expect(await refusals(["JSON.parse('{}');"])).toEqual({ "JSON.parse('{}');": 'no-restricted-properties' });
});

const readings = ['Date.now()', 'new Date()', 'Date()', "Date['now']()"];
const durations = [
  'export const f = (startedAt: number) => wallTimeMs() - startedAt;',
  'export const f = (startedAt: Date, endedAt: Date) => endedAt.getTime() - startedAt.getTime();',
  'export const f = (from: string, to: string) => Date.parse(to) - Date.parse(from);',
  'const began = wallTimeMs(); export const f = () => wallTimeMs() - began;',
  'export function f() { const until = wallTimeMs() + 5; while (wallTimeMs() < until); }',
  'export function f() { const at = wallTimeMs(); const until = at + 5; while (until >= wallTimeMs()); }',
];
const moments = [
  'export const f = (days: number) => new Date(wallTimeMs() - days * 86_400_000);',
  'export const f = (expiresAt: Date) => expiresAt.getTime() > wallTimeMs();',
  'export const f = (dates: Date[]) => dates.toSorted((a, b) => a.getTime() - b.getTime());',
  'export const f = (startedAt: number) => performance.now() - startedAt;',
];

/** The wall clock steps, so durations come from the monotonic clock, and whoever reads the wall clock names it. */
test('the lint refuses to read the wall clock without libs/time, and durations by it', async () => {
  const refused = await refusals([...readings.map((reading) => `export const f = () => ${reading};`), ...durations, ...moments]);
  expect(Object.values(refused)).toEqual([
    ...readings.map(() => 'wall-time-by-name'),
    ...durations.map(() => 'no-wall-duration'),
    ...moments.map(() => undefined),
  ]);
});
