import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FolderInUse, lockFolder } from './folder-lock.js';
import { identityOf, isAlive } from './process-identity.js';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'millrace-lock-'));
  file = path.join(directory, 'lock');
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a folder that a living process holds is refused, with its number', () => {
  const lock = lockFolder(directory, file);
  expect(() => lockFolder(directory, file)).toThrow(FolderInUse);
  expect(() => lockFolder(directory, file)).toThrow(`is in use by the running process ${process.pid}`);
  lock.release();
});

test('a released folder can be taken again', () => {
  lockFolder(directory, file).release();
  expect(existsSync(file)).toBe(false);
  lockFolder(directory, file).release();
});

test('a dead process holds nothing', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const holder = identityOf(child.pid!);
  expect(isAlive(holder)).toBe(true);
  writeFileSync(file, JSON.stringify(holder));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(isAlive(holder)).toBe(false);
  expect(() => lockFolder(directory, file)).not.toThrow();
});

test.runIf(process.platform === 'linux')('a process that got the number of a dead one holds nothing either', () => {
  writeFileSync(file, JSON.stringify({ pid: process.pid, birth: '1' }));
  expect(() => lockFolder(directory, file)).not.toThrow();
});

test('a lock that was never fully written holds nothing', () => {
  writeFileSync(file, '{"pi');
  expect(() => lockFolder(directory, file)).not.toThrow();
});
