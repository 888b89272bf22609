import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'vite';
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

test('nothing is left in the folder but the lock, whatever it was taken over from', () => {
  writeFileSync(file, '');
  const lock = lockFolder(directory, file);
  expect(readdirSync(directory)).toEqual(['lock']);
  lock.release();
  expect(readdirSync(directory)).toEqual([]);
});

test('a process that died while it took over a dead lock keeps nobody out', () => {
  const dead = JSON.stringify({ pid: 2 ** 30, birth: '1' });
  writeFileSync(file, dead);
  const takeover = `${file}.${createHash('sha256').update(dead).digest('hex').slice(0, 16)}`;
  writeFileSync(takeover, JSON.stringify({ pid: 2 ** 30, birth: '2' }));
  lockFolder(directory, file);
  expect(readdirSync(directory)).toEqual(['lock']);
});

test('of many processes that find a dead lock at the same instant one holds it at a time', { timeout: 60_000 }, async () => {
  const library = await bundle(path.join(directory, 'bundle'));
  const racers = await Promise.all(Array.from({ length: 8 }, () => Racer.start(directory, library)));
  try {
    for (let round = 0; round < 60; round += 1) {
      const contested = path.join(directory, `lock-${round}`);
      writeFileSync(contested, JSON.stringify({ pid: 2 ** 30, birth: String(round) }));
      const at = Date.now() + 8;
      const holders = (await Promise.all(racers.map((racer) => racer.take(contested, at)))).filter((took) => took);
      expect(holders).toHaveLength(1);
    }
  } finally {
    for (const racer of racers) racer.end();
  }
});

/** A process that tries to take the locks that it is told of, and keeps what it gets. */
class Racer {
  private static readonly source = `
    const { lockFolder } = await import(process.argv[2]);
    process.on('message', ({ file, at }) => {
      while (Date.now() < at);
      try {
        lockFolder(process.argv[1], file);
        process.send(true);
      } catch (error) {
        process.send(error.name === 'FolderInUse' ? false : String(error.stack));
      }
    });
    process.send('ready');`;

  private constructor(private readonly child: ChildProcess) {}

  static async start(folder: string, library: string): Promise<Racer> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', Racer.source, folder, library], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new Racer(child);
  }

  async take(contested: string, at: number): Promise<boolean> {
    const answered = once(this.child, 'message');
    this.child.send({ file: contested, at });
    const [answer] = (await answered) as [boolean | string];
    if (typeof answer === 'string') throw new Error(answer);
    return answer;
  }

  end(): void {
    this.child.kill('SIGKILL');
  }
}

/** The lock as one file that a process without our build can load: a stale build would prove nothing. */
async function bundle(outDir: string): Promise<string> {
  await build({
    configFile: false,
    logLevel: 'error',
    build: { ssr: new URL('folder-lock.ts', import.meta.url).pathname, outDir, minify: false },
  });
  return path.join(outDir, 'folder-lock.js');
}
