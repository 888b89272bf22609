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
      const line = stdout.split('\n').find((each) => each.includes(path.basename(file)) && each.includes('no-restricted'));
      return [source, /no-restricted-\w+/.exec(line ?? '')?.[0]] as const;
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
