import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { findInstallation, restoreLinks } from './installation.js';

test('the binaries of this machine are there', async () => {
  const { initdb, postgres } = await findInstallation();
  expect([initdb, postgres].map((program) => existsSync(program))).toEqual([true, true]);
});

test('links that an installation without scripts lacks are made, and those that are there stay', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'millrace-links-'));
  mkdirSync(path.join(root, 'native', 'lib'), { recursive: true });
  writeFileSync(path.join(root, 'native', 'lib', 'libpq.so.5.18'), 'library');
  const links = ['libpq.so', 'libpq.so.5'].map((name) => ({ source: 'native/lib/libpq.so.5.18', target: `native/lib/${name}` }));
  writeFileSync(path.join(root, 'native', 'pg-symlinks.json'), JSON.stringify(links));

  await restoreLinks(root);
  await restoreLinks(root);
  for (const { target } of links) expect(readFileSync(path.join(root, target), 'utf8')).toBe('library');
  rmSync(root, { recursive: true });
});
