import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkJars } from './maven-jars.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jars-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function fetched(...jars: string[]): Promise<void> {
  for (const jar of jars) await writeFile(join(folder, `${jar}.jar`), jar);
}

/** The lines that `sha256sum` prints for these jars. */
function listed(...jars: string[]): string {
  return jars.map((jar) => `${createHash('sha256').update(jar).digest('hex')}  ${jar}.jar\n`).join('');
}

test('the jars that are listed are accepted', async () => {
  await fetched('one', 'two');
  await expect(checkJars(folder, listed('one', 'two'))).resolves.toBeUndefined();
});

test('a jar with another content, one that is not listed, and one that is missing are refused', async () => {
  await fetched('one', 'two');
  const other = listed('one', 'two').replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  await expect(checkJars(folder, other)).rejects.toThrow('one.jar was fetched, but jars.sha256 has another hash for it');
  await expect(checkJars(folder, listed('one'))).rejects.toThrow('two.jar was fetched, but jars.sha256 does not list it');
  await expect(checkJars(folder, listed('one', 'two', 'three'))).rejects.toThrow('not fetched: three.jar');
});
