import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { identityOf } from '#libs/locks';
import { AlreadyRunning, DataDirectory, DataDirectoryUnusable } from './data-directory.js';

function fresh(): DataDirectory {
  const path = mkdtempSync(join(tmpdir(), 'millrace-directory-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return new DataDirectory(path);
}

test('a second start says which process is in the way and how to stop it', () => {
  const directory = fresh();
  const other = spawn('sleep', ['60']);
  try {
    writeFileSync(join(directory.path, 'lock.json'), JSON.stringify({ ...identityOf(other.pid!), note: 'http://127.0.0.1:8080' }));
    expect(() => directory.lock('http://127.0.0.1:9090')).toThrow(AlreadyRunning);
    expect(() => directory.lock('http://127.0.0.1:9090')).toThrow(`kill ${other.pid}`);
  } finally {
    other.kill('SIGKILL');
  }
});

test('the lock of a process that was killed is taken over, even when its id lives on in another program', () => {
  const directory = fresh();
  writeFileSync(join(directory.path, 'lock.json'), JSON.stringify({ pid: process.ppid, birth: '1', note: 'http://127.0.0.1:8080' }));
  directory.lock('http://127.0.0.1:9090');
  expect(readFileSync(join(directory.path, 'lock.json'), 'utf8')).toContain(`"pid":${process.pid}`);
});

test('a lock whose writing was cut short by a kill keeps no later start out', () => {
  const directory = fresh();
  writeFileSync(join(directory.path, 'lock.json'), '');
  expect(() => directory.lock('http://127.0.0.1:9090')).not.toThrow();
});

test('nobody else may look into a new one', () => {
  const path = join(fresh().path, 'data');
  expect(statSync(new DataDirectory(path).path).mode & 0o777).toBe(0o700);
});

test('nobody else may look any more into one that was there before', () => {
  const { path } = fresh();
  chmodSync(path, 0o755);
  expect(statSync(new DataDirectory(path).path).mode & 0o777).toBe(0o700);
});

test.runIf(process.geteuid?.() === 0)('one that belongs to another user is left alone, by root too', () => {
  const { path } = fresh();
  chownSync(path, 65_534, 65_534);
  expect(() => new DataDirectory(path)).toThrow(`${path} belongs to another user (uid 65534)`);
});

/** In a process that can be ended: Node's `mkdir` of a folder and its parents never returns for such a path, and nothing ends it in this one. */
test.runIf(existsSync('/proc/self'))('a path where the file system takes no folders is refused at once, with the remedy', () => {
  const compiled = new URL('../../../dist/apps/standalone/src/data-directory.js', import.meta.url);
  const open = `const { DataDirectory } = await import(${JSON.stringify(compiled.href)}); new DataDirectory(process.argv[1]);`;
  for (const path of ['/proc/millrace', '/proc/millrace/deep/er', '/proc/self/millrace']) {
    const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', open, path], {
      timeout: 20_000,
      killSignal: 'SIGKILL',
      encoding: 'utf8',
    });
    expect(signal).toBeNull();
    expect(stderr).toMatch(
      /DataDirectoryUnusable: .* cannot be written to \(E\w+\)\. Use another folder: MILLRACE_DIRECTORY=… npm start$/m,
    );
  }
});

test('missing parents are made, too', () => {
  const path = join(fresh().path, 'a', 'b');
  expect(statSync(new DataDirectory(path).path).isDirectory()).toBe(true);
});

test('keys are made once, and only their owner can read them', () => {
  const directory = fresh();
  expect(directory.key('secrets')).toEqual(directory.key('secrets'));
  expect(statSync(join(directory.path, 'secrets.key')).mode & 0o077).toBe(0);
});

test('a path that is a file, or leads through one, is refused with the remedy', () => {
  const { path } = fresh();
  const file = join(path, 'file');
  writeFileSync(file, '');
  for (const unusable of [file, join(file, 'within')]) {
    expect(() => new DataDirectory(unusable)).toThrow(DataDirectoryUnusable);
    expect(() => new DataDirectory(unusable)).toThrow('is a file, and the data needs a folder. Use another folder: MILLRACE_DIRECTORY=');
  }
});
