import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

interface Registry {
  readonly parts: string;
  readonly out: string;
  readonly exported: string;
  readonly member: (name: string) => string;
  readonly suite: string;
  readonly isLazy?: boolean;
}
const { registryText } = (await import(new URL('registry.mjs', import.meta.url).href)) as {
  registryText: (registry: Registry, root: string) => string;
};

const registry: Registry = {
  parts: 'libs/systems/src/*/{name}.system.ts',
  out: 'libs/systems/src/systems.generated.ts',
  exported: 'systems',
  member: (name) => `${name}System`,
  suite: 'systemConformance',
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'registry-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, text = ''): void {
  const path = join(root, 'libs/systems/src', file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

test('each folder with a part of its name is found, in alphabetical order', () => {
  for (const name of ['web', 'mail']) {
    write(`${name}/${name}.system.ts`);
    write(`${name}/${name}.conformance.test.ts`, `systemConformance({});`);
  }
  write('mail/other.system.ts');
  const text = registryText(registry, root);
  expect(text).toContain("import { mailSystem } from './mail/mail.system.js';\nimport { webSystem } from './web/web.system.js';");
  expect(text).toContain('export const systems = {\n  mail: mailSystem,\n  web: webSystem,\n} as const;');
});

test('a lazy registry imports a part when it is asked for', () => {
  write('web/web.system.ts');
  write('web/web.conformance.test.ts', `systemConformance({});`);
  const text = registryText({ ...registry, isLazy: true }, root);
  expect(text).toContain("web: async () => (await import('./web/web.system.js')).webSystem,");
  expect(text).not.toMatch(/^import/m);
});

test('a suite may also be an integration test', () => {
  write('web/web.system.ts');
  write('web/web.conformance.int.test.ts', 'systemConformance({ kind });');
  expect(registryText(registry, root)).toContain('webSystem');
});

test('a part without its conformance suite stops the build', () => {
  write('web/web.system.ts');
  expect(() => registryText(registry, root)).toThrow('web.system.ts has no conformance suite');
});

test('so does a suite that never runs', () => {
  write('web/web.system.ts');
  write('web/web.conformance.test.ts', "test('nothing', () => undefined);");
  expect(() => registryText(registry, root)).toThrow('must call systemConformance(…)');
});
