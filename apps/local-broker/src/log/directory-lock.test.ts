import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identityOf } from '#libs/locks';
import { DirectoryInUse, lockDirectory } from './directory-lock.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-lock-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('a directory is locked once, whatever it is called, and free again after the release', async () => {
  const lock = lockDirectory(directory);
  expect(() => lockDirectory(`${directory}/.`)).toThrow(DirectoryInUse);
  lock.release();
  expect(await readdir(directory)).toEqual([]);
  lockDirectory(directory).release();
});

test('a living process keeps others out, and is named', async () => {
  const other = spawn('sleep', ['60']);
  await once(other, 'spawn');
  await writeFile(join(directory, 'lock'), JSON.stringify(identityOf(other.pid!)));
  expect(() => lockDirectory(directory)).toThrow(`The log in ${directory} is in use by process ${other.pid}.`);
  other.kill();
  await once(other, 'exit');
  lockDirectory(directory).release();
});

test.each([
  ['a process that has the number of the owner, but started later', JSON.stringify({ pid: 1, birth: '0' })],
  ['an earlier process with the number of this one, as in a restarted container', JSON.stringify({ pid: process.pid, birth: '1' })],
  ['a lock whose writing was cut short', ''],
])('what is left behind keeps nobody out: %s', async (_, content) => {
  await writeFile(join(directory, 'lock'), content);
  lockDirectory(directory).release();
});
