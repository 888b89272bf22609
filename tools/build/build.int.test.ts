import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
let project: string;

/** A project of one source and one asset, with the compiler of this one. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'millrace-build-'));
  mkdirSync(join(project, 'libs/one/src'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
  writeFileSync(join(project, 'package-lock.json'), '{}');
  writeFileSync(join(project, 'tsconfig.json'), '{}');
  const options = { compilerOptions: { rootDir: '.', outDir: 'dist', incremental: true, types: [] }, include: ['libs/**/*.ts'] };
  writeFileSync(join(project, 'tsconfig.build.json'), JSON.stringify(options));
  writeFileSync(join(project, 'libs/one/src/index.ts'), 'export const one = 1;\n');
  writeFileSync(join(project, 'libs/one/src/names.json'), '[]');
  symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

async function build(): Promise<string> {
  const { stderr } = await run(process.execPath, [join(root, 'tools/build/build.mjs')], { cwd: project });
  return stderr;
}

test('builds what changed, says so, and does nothing where nothing changed', async () => {
  expect(await build()).toMatch(/^Building Millrace …\nBuilt in \d+ s\.\n$/);
  expect(existsSync(join(project, 'dist/libs/one/src/index.js'))).toBe(true);
  expect(existsSync(join(project, 'dist/libs/one/src/names.json'))).toBe(true);
  expect(await build()).toBe('');
  writeFileSync(join(project, 'libs/one/src/two.ts'), 'export const two = 2;\n');
  expect(await build()).toContain('Built in');
  rmSync(join(project, 'libs/one/src/two.ts'));
  expect(await build()).toContain('Built in');
  expect(existsSync(join(project, 'dist/libs/one/src/two.js'))).toBe(false);
});

test('of several builds at once, one compiles', async () => {
  const said = await Promise.all([build(), build(), build(), build()]);
  expect(said.filter((text) => text.includes('Building Millrace'))).toHaveLength(1);
});

test('goes on after a build that was killed', async () => {
  mkdirSync(join(project, 'dist'));
  const { stdout } = await run(process.execPath, ['-p', 'process.pid']);
  writeFileSync(join(project, 'dist/.building'), stdout.trim());
  expect(await build()).toContain('Built in');
});

test('an error of the compiler is shown, ends the command, and is shown again', async () => {
  writeFileSync(join(project, 'libs/one/src/index.ts'), 'export const one: string = 1;\n');
  for (const _ of [1, 2]) {
    await expect(build()).rejects.toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining('TS2322') });
  }
});

test('before `npm install`, one sentence says what to do', async () => {
  rmSync(join(project, 'node_modules'));
  await expect(build()).rejects.toMatchObject({ code: 1, stderr: 'Millrace is not installed yet. Run `npm install` first.\n' });
});

test('on an old Node, one sentence says which one is needed', async () => {
  const asNode = (version: string): string =>
    `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;
  const buildOn = (version: string) =>
    run(process.execPath, ['--import', asNode(version), join(root, 'tools/build/build.mjs')], { cwd: project });
  for (const old of ['18.20.4', '20.19.0', '22.21.1']) {
    const sentence = new RegExp(`^Millrace runs on Node 24 .*this is ${old}\\. .*\\n$`);
    await expect(buildOn(old)).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(sentence) });
  }
  expect((await buildOn('22.22.0')).stderr).toContain('Built in');
});
