import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { topics } from '#libs/contracts';
import { freshDatabase } from '#libs/testing';
import { runInTest } from '../cli/src/run-in-test.js';
import { composeServices } from '../image/container.js';
import { startControlPlane } from '../kubernetes/control-plane.js';
import type { ControlPlane } from '../kubernetes/control-plane.js';
import { folderOf } from '../kubernetes/manifests.js';
import { findKubernetes } from '../kubernetes/programs.js';
import { commandsIn } from './commands.js';

const pages = execFileSync('git', ['ls-files', 'docs/*.md', 'README.md'], { encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((page) => !page.startsWith('docs/decisions/'));
const commands = pages.flatMap((page) => commandsIn(page).map(({ where, words }) => ({ where, words, text: words.join(' ') })));
const of = (program: RegExp) => commands.filter(({ words }) => program.test(words[0]!));
const nowhere = '127.0.0.1:1';
const isRefused = /connection refused|was refused/;

test('commands are found on the pages', () => {
  const count = (program: RegExp, page: string): number => of(program).filter(({ where }) => where.startsWith(page)).length;
  expect(count(/^kubectl$/, 'docs/runbooks.md')).toBeGreaterThan(35);
  expect(count(/^kubectl$/, 'docs/kubernetes.md')).toBeGreaterThan(10);
  expect(count(/^millrace$/, 'docs/operations.md')).toBeGreaterThan(10);
  expect(count(/^SELECT$/, 'docs/runbooks.md')).toBeGreaterThan(3);
});

const programs = await findKubernetes();
if (typeof programs === 'string') console.log(`The kubectl commands of the pages are not run: ${programs}.`);

/** Texts of kubectl beside success, by the word of the command. The page tells of the warning of `undo`: the next apply brings the new version again. */
const tolerated: readonly (readonly [verb: string, said: RegExp])[] = [
  ['undo', /^Warning: .* was previously managed with 'kubectl apply'.*\n/],
  // It waits for a budget, and goes on.
  ['drain', /^(error when evicting .*will retry after 5s.*\n|Warning: ignoring DaemonSet.*\n)+/],
];

describe.skipIf(typeof programs === 'string')('kubectl, with production on a Kubernetes API', () => {
  /** Values for the words in capitals, which a reader replaces; `POD` becomes the name of a pod. */
  const placeholders: Readonly<Record<string, string>> = { GATEWAY: 'gateway', MONITORING: 'monitoring', NODE: 'a', N: '3' };
  /** Nothing is found here, because it is made by what this API does not run. */
  const madeByOthers = ['strimzi.io/', 'cnpg.io/'];

  let cluster: ControlPlane;
  beforeAll(async () => {
    cluster = await startControlPlane(programs as Exclude<typeof programs, string>, [
      { name: 'a', zone: 'a' },
      { name: 'b', zone: 'b' },
    ]);
    await cluster.run(['apply', '-f', 'k8s/base/namespace.yaml']);
    await cluster.run(['apply', '-k', folderOf('production')]);
    for (const name of ['gateway', 'monitoring']) await cluster.run(['create', 'namespace', name]);
    await cluster.run(['-n', 'millrace', 'rollout', 'restart', 'deployment']);
    for (const name of ['ingestion', 'ai-processing', 'connectors', 'query'])
      await cluster.run(['-n', 'millrace', 'rollout', 'status', `deployment/${name}`, '--timeout=90s']);
  });
  afterAll(() => cluster?.stop());

  const names = async (kind: string, ...selector: string[]): Promise<string[]> =>
    (await cluster.run(['-n', 'millrace', 'get', kind, ...selector, '-o', 'name'])).trim().split('\n').filter(Boolean);
  async function filledIn(words: readonly string[]): Promise<string[]> {
    const [pod] = await names('pods', '-l', 'app.kubernetes.io/name=query');
    const [job] = await names('jobs', '-l', 'app.kubernetes.io/name=migrate');
    return words.map((word) =>
      word
        .replace('VERSION', job!.replace('job.batch/migrate-', ''))
        .replace(/\bPOD\b/, pod!.replace('pod/', ''))
        .replace('overlays/yours', 'overlays/production')
        .replaceAll(/\b[A-Z]+\b/g, (name) => placeholders[name] ?? name),
    );
  }
  /** Checks a command that needs the kubelet of a pod, which is not here: kubectl knows the flags, and the pods and ports exist. */
  async function checkPods(words: readonly string[]): Promise<void> {
    const end = words.indexOf('--');
    const { said } = await cluster.kubectl([`--server=https://${nowhere}`, ...words]);
    expect(said).toMatch(isRefused);
    const selector = words.indexOf('-l');
    const target = words
      .slice(0, end < 0 ? undefined : end)
      .find((word, at) => at > words.findIndex((one) => /^(logs|exec|port-forward|top|debug)$/.test(one)) && !word.startsWith('-'));
    if (selector >= 0) expect(await names('pods', '-l', words[selector + 1]!)).not.toEqual([]);
    else
      expect(await cluster.kubectl(['-n', 'millrace', 'get', target!.includes('/') ? target! : `pod/${target}`])).toMatchObject({
        status: 0,
      });
    if (words.includes('port-forward')) {
      const [, port] = words.at(-1)!.split(':');
      const spec = await cluster.run(['-n', 'millrace', 'get', target!.includes('/') ? target! : `pod/${target}`, '-o', 'yaml']);
      expect(spec).toContain(`name: ${port}`);
    }
  }

  test.each(of(/^kubectl$/))('$where: $text', { timeout: 120_000 }, async ({ words, text }) => {
    const args = (await filledIn(words)).slice(1);
    if (/ (logs|exec|port-forward|top) /.test(text)) return checkPods(args);
    if (text.includes(' -f -')) {
      expect(
        (await cluster.kubectl([`--server=https://${nowhere}`, ...args], 'kind: Namespace\napiVersion: v1\nmetadata: { name: x }')).said,
      ).toMatch(isRefused);
      return undefined;
    }
    const { status, printed, said } = await cluster.kubectl(args);
    const known = tolerated.find(([verb]) => args.includes(verb))?.[1] ?? /^No resources found.*\n/;
    const isDifference = args.includes('diff') && status === 1 && said === '';
    expect({ status: isDifference ? 0 : status, said: said.replace(known, '') }).toEqual({ status: 0, said: '' });
    if (args.includes('get') && !madeByOthers.some((part) => text.includes(part))) expect(printed).not.toBe('');
    return undefined;
  });
});

describe('millrace', () => {
  const sample = (word: string): string =>
    word
      .replace(/^(dlq|evt|bop|run|dlv)_…$/, '$1_0123456789abcdefghjkmnpqrs')
      .replace(/^(…|T)$/, '2026-11-21T08:00:00Z')
      .replace(/^(dir\/|flow\.yaml)$/, 'apps/standalone/src/samples');

  test.each(of(/^millrace$/))('$where: $text', async ({ words: [, ...args] }) => {
    const environment = { MILLRACE_URL: `http://${nowhere}`, MILLRACE_API_KEY: 'mr_test_0_0' };
    const directory = args[0] === 'init' ? mkdtempSync(join(tmpdir(), 'millrace-commands-')) : process.cwd(); // it writes there
    onTestFinished(() => void (directory === process.cwd() || rmSync(directory, { recursive: true })));
    const { notes } = await runInTest(args.map(sample), { directory, environment, signal: AbortSignal.timeout(30_000) });
    const isOnlyNamed = args.every((word) => /^[a-z][a-z-]*$/.test(word)) && /^error: (missing|required)|^Usage: /m.test(notes);
    if (!isOnlyNamed) {
      expect(notes).not.toMatch(/^error:/m);
      return;
    }
    const { out } = await runInTest([...args, '--help'], { directory: process.cwd() });
    expect(out).toContain(`Usage: ${['millrace', ...args].join(' ')} `);
  });
});

test('Postgres takes every statement', async () => {
  const database = await freshDatabase();
  const client = new Client({ connectionString: database.administratorUrl });
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await database.close();
  });
  await client.query('CREATE EXTENSION pg_stat_statements');
  for (const { words } of of(/^SELECT$/)) await client.query(`EXPLAIN ${words[1]}`);
});

test('the programs of Kafka have the options, and topics and groups the names', () => {
  const options: Readonly<Record<string, readonly string[]>> = {
    'kafka-topics.sh': ['bootstrap-server', 'describe', 'topic', 'under-min-isr-partitions', 'list', 'command-config'],
    'kafka-configs.sh': ['bootstrap-server', 'describe', 'topic', 'alter', 'add-config', 'command-config'],
    'kafka-consumer-groups.sh': [
      'bootstrap-server',
      'describe',
      'group',
      'list',
      'state',
      'reset-offsets',
      'to-datetime',
      'topic',
      'execute',
      'command-config',
    ],
  };
  const problems = of(/^kafka-/).flatMap(({ where, words: [program, ...words] }) => {
    const known = options[program!] ?? [];
    const unknown = words.filter((word) => word.startsWith('--') && !known.includes(word.slice(2)));
    const topic = words[words.indexOf('--topic') + 1]!;
    const isUnknown = words.includes('--topic') && !Object.values(topics).some(({ name }) => `millrace.${name}` === topic);
    return [...unknown, ...(isUnknown ? [topic] : [])].map((what) => `${where}: ${what}`);
  });
  expect(problems).toEqual([]);
});

test('Compose has the services and profiles', () => {
  const services = composeServices();
  const profiles = [...readFileSync('docker-compose.yml', 'utf8').matchAll(/profiles: \[(\w+)\]/g)].map(([, name]) => name);
  for (const { words } of of(/^docker$/).filter(({ words: [, command] }) => command === 'compose')) {
    const profile = words.indexOf('--profile');
    if (profile >= 0) expect(profiles).toContain(words[profile + 1]);
    const exec = words.indexOf('exec');
    if (exec >= 0) expect(Object.keys(services)).toContain(words[exec + 1]);
  }
});
