import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { assets, mirrorAssets, sources } from './assets.mjs';

const stamp = 'dist/.built';
const lock = 'dist/.building';
const typescript = 'node_modules/@typescript/native';
const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json', `${typescript}/package.json`];

/**
 * Compiles the sources into `dist` unless nothing has changed since the last time, and says what it does on stderr. Of several builds at once, one
 * compiles and the others wait for it. Ends the process if the compiler finds errors.
 */
export async function build() {
  if (isUpToDate()) return;
  mkdirSync('dist', { recursive: true });
  await takeLock();
  try {
    if (isUpToDate()) return; // another process has built it meanwhile
    const before = fingerprint();
    rmSync(stamp, { force: true });
    await withProgress('Building Millrace', compile);
    mirrorAssets();
    writeFileSync(stamp, before);
  } finally {
    rmSync(lock, { force: true });
  }
}

function isUpToDate() {
  return textOf(stamp) === fingerprint();
}

/** Of every file that the build reads: path, size and time of change. */
function fingerprint() {
  const hash = createHash('sha256');
  for (const path of [...settings, ...sources(), ...assets()].toSorted((a, b) => (a < b ? -1 : 1))) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

async function compile() {
  const compiler = spawn(process.execPath, [`${typescript}/bin/tsc`, '-p', 'tsconfig.build.json'], { stdio: ['ignore', 2, 2] });
  const [status] = await once(compiler, 'exit');
  if (status !== 0) {
    rmSync(lock, { force: true });
    process.exit(status ?? 1);
  }
}

/** The lock is a file with the id of its process. One that no longer runs has left it behind. */
async function takeLock() {
  let hasSaidSo = false;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = textOf(lock);
    if (holder !== undefined && holder !== '' && !isRunning(Number(holder))) {
      if (textOf(lock) === holder) rmSync(lock, { force: true });
      continue;
    }
    if (!hasSaidSo) process.stderr.write(`Waiting for process ${holder}, which builds Millrace …\n`);
    hasSaidSo = true;
    await pause(100);
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Counts the seconds on a terminal; elsewhere two lines, one at each end. */
async function withProgress(what, work) {
  const startedAt = performance.now();
  const seconds = () => Math.round((performance.now() - startedAt) / 1_000);
  const isTerminal = process.stderr.isTTY;
  process.stderr.write(`${what} …${isTerminal ? '' : '\n'}`);
  const ticking = isTerminal ? setInterval(() => process.stderr.write(`\r${what} … ${seconds()} s`), 1_000) : undefined;
  try {
    await work();
  } finally {
    clearInterval(ticking);
    if (isTerminal) process.stderr.write('\r\u001b[K');
  }
  process.stderr.write(`Built in ${seconds()} s.\n`);
}

function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
