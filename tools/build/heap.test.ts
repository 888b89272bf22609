import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { nodeOptions } from '../../test/forms/service-process.js';

const services = ['ingestion', 'ai-processing', 'connectors', 'query', 'local-model'] as const;
const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as { services: Record<string, { command: string[] }> };

/** Fills the young generation again and again, and prints the size that V8 gave it, MiB. */
const youngMiB = `
  let kept = [];
  for (let at = 0; at < 1e6; at += 1) {
    kept.push({ at, list: [at] });
    if (kept.length > 2e5) kept = [];
  }
  const space = require('node:v8').getHeapSpaceStatistics().find((each) => each.space_name === 'new_space');
  console.log(space.space_size / 1_048_576);
`;

test.each([...services])('npm and the image start %s with the same heap', (service) => {
  const [, ...entry] = parse(/^ENTRYPOINT (.+)$/m.exec(readFileSync('Dockerfile', 'utf8'))![1]!) as string[];
  const { command } = compose.services[service]!;
  expect(nodeOptions('.', service)).toEqual([...entry, ...command.filter((word) => word.startsWith('--'))]);
  expect(command.at(-1)).toBe(`dist/apps/${service}/src/main.js`);
});

test('the young generation of a busy service stays small', () => {
  const grown = (options: readonly string[]): number =>
    Number(execFileSync(process.execPath, [...options, '-e', youngMiB], { encoding: 'utf8' }));
  expect(grown([])).toBeGreaterThan(16);
  expect(grown(nodeOptions('.', 'connectors'))).toBeLessThanOrEqual(16);
}, 60_000);
