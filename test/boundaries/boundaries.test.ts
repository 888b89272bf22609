import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const config = `${root}.dependency-cruiser.mjs`;

/** The fixture is a small tree that breaks each rule once; a rule that finds nothing there would find nothing anywhere. */
test('every boundary rule bites', async () => {
  const { default: rules } = (await import(config)) as { default: { forbidden: { name: string }[] } };
  const report = execFileSync(
    process.execPath,
    [`${root}node_modules/dependency-cruiser/bin/dependency-cruiser.mjs`, '--config', config, '--output-type', 'json', 'apps', 'libs'],
    {
      cwd: fileURLToPath(new URL('fixture', import.meta.url)),
      encoding: 'utf8',
    },
  );
  const { summary } = JSON.parse(report) as { summary: { violations: { rule: { name: string } }[] } };
  const bitten = new Set(summary.violations.map(({ rule }) => rule.name));
  expect([...bitten].toSorted()).toEqual(rules.forbidden.map(({ name }) => name).toSorted());
});
