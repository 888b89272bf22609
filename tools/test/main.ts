/**
 * `npm test`: all tests, those first that fail cheapest. Files tagged `both-logs` run on the local broker and again on a real Kafka, which comes
 * from KAFKA_BROKERS, Docker or Java, in that order; it starts while the unit tests run. What sends SQL also runs on the oldest Postgres that is
 * promised, where it is installed. Ends with where the time went, what failed and `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import type { StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { findKafka, startKafka } from '../kafka/kafka.js';
import type { RunningKafka } from '../kafka/kafka.js';
import { findPrometheus } from '../monitoring/prometheus.js';
import { bothLogsFiles } from './both-logs.js';
import { TimeTable } from './time-table.js';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Plants, faults, minutes, seed, customers, events a second. */
type PlantedRun = readonly [string, string, string, string, string, string];

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: {
    name: string;
    status: string;
    /** Why the file could not be run. */
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
/** Each failure in a few lines; the end of the output tells them again, because a kept part of it is often the end only. */
const failures: string[] = [];
const times = new TimeTable();
const reports = mkdtempSync(join(tmpdir(), 'millrace-test-'));

/** The status of a chaos run whose release before cannot be built, such as in a shallow clone. */
const releaseIsMissing = 4;

/** The lowest version that the documentation promises. */
const oldestPostgres = 15;

/** The dashboards are asked during the short chaos, too, where there is a Prometheus. */
const watch = findPrometheus('prometheus') === undefined ? [] : ['--watch'];

const given = process.env['KAFKA_BROKERS'];
const way = await findKafka(given);
const kafka: Promise<RunningKafka | undefined> = way === 'docker' || way === 'java' ? startKafka({ way }) : Promise.resolve(undefined);
kafka.catch(() => undefined); // reported where it is needed

await step('Unit', () => vitest('unit', ['--project', 'unit']));
// Only one start at a time fetches Kafka's jars: the integration tests start brokers, too.
await kafka.catch(() => undefined);
await step('On the local broker', () => vitest('local', ['--project', 'integration', '--project', 'journeys']));
await step(`On Postgres ${oldestPostgres}`, testOnOldestPostgres);
await step('Chaos, a short run', () =>
  chaos(
    'no fault',
    ['--minutes', '1', '--rate', '40', '--seed', '412', '--faults', 'kill,pause,broker,postgres,sink,desk', ...watch],
    'passed',
  ),
);
await step('Chaos, an upgrade and back', async () => {
  const args = ['--minutes', '0.5', '--rate', '20', '--customers', '20', '--faults', 'upgrade'];
  return chaos('upgrade', args, 'passed', releaseIsMissing);
});
await step('Chaos, planted bugs', async () => {
  const planted = ([plants, faults, minutes, seed, customers, rate]: PlantedRun): Promise<number> => {
    const load = ['--minutes', minutes, '--rate', rate, '--customers', customers, '--seed', seed];
    return chaos(plants, [...load, '--faults', faults, '--plant', plants], 'found what was planted');
  };
  // Bugs that show as violations of different kinds share a run. Two runs at once fill two cores: with four, what is lost during a fault comes after it.
  const pairs: readonly (readonly PlantedRun[])[] = [
    [
      ['no-dedupe', 'none', '0.2', '42', '50', '40'],
      ['commit-early', 'model', '0.3', '42', '50', '40'], // the model hangs meanwhile, so that what is committed early is not finished within the same second
    ],
    [
      ['wrong-key,mixed-outputs', 'none', '0.2', '42', '50', '40'],
      ['repeat-unknown,late-write,delivered-trial', 'sink,desk', '0.5', '2752', '20', '20'], // the answers of both are lost meanwhile
    ],
  ];
  let count = 0;
  for (const pair of pairs) count += (await Promise.all(pair.map(planted))).reduce((sum, one) => sum + one, 0);
  return count;
});

await step(`On Kafka (${way})`, testOnKafka);

rmSync(reports, { recursive: true, force: true });
console.log(`\n${times.lines().join('\n')}`);
for (const failure of failures) console.log(`\nfailed: ${failure}`);
console.log(`\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed === 0 ? 0 : 1);

async function step(title: string, run: () => Promise<number>): Promise<void> {
  console.log(`\n━━ ${title}`);
  await times.measure(title, run);
}

/** Runs a program to its end. `printed` is its standard output where that is a pipe. */
async function runToEnd(
  program: string,
  args: readonly string[],
  stdio: StdioOptions,
  environment: Record<string, string> = {},
): Promise<{ status: number | null; printed: string }> {
  const child = spawn(program, args, { stdio, env: { ...process.env, ...environment } });
  const [[status], printed] = await Promise.all([once(child, 'exit') as Promise<[number | null]>, child.stdout ? text(child.stdout) : '']);
  return { status, printed };
}

/** Runs vitest and adds its counts; a run that dies without a report is one failure. @returns how many tests ran */
async function vitest(name: string, args: readonly string[], environment: Record<string, string> = {}): Promise<number> {
  const file = join(reports, `${name}.json`);
  const reporting = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const { status } = await runToEnd('npx', ['vitest', 'run', ...args, ...reporting], 'inherit', environment);
  const report = readReport(file);
  const passed = report?.numPassedTests ?? 0;
  const failed = report?.numFailedTests || Number(status !== 0);
  total.passed += passed;
  total.failed += failed;
  total.skipped += report?.numPendingTests ?? 0;
  const told = report === undefined ? [] : failuresIn(report);
  if (failed > 0 && told.length === 0) told.push(`vitest ended with the status ${status}, and names no test`);
  failures.push(...told.map((failure) => `${name}: ${failure}`));
  return passed + failed;
}

/** @returns undefined if vitest ended before it wrote one */
function readReport(file: string): Report | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : undefined;
}

function failuresIn({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    const path = relative(process.cwd(), name);
    if (failed.length === 0) return status === 'failed' ? [`${path}\n${shortened(message)}`] : [];
    return failed.map(({ fullName, failureMessages }) => `${path}: ${fullName}\n${shortened(failureMessages.join('\n'))}`);
  });
}

function shortened(message: string): string {
  return message.split('\n').slice(0, 12).join('\n').slice(0, 1200);
}

/** One run of the chaos harness is one test: its last line must begin with `expected`. @returns how many tests ran */
/** @param unable the status with which the run says why it is not possible here */
async function chaos(name: string, args: readonly string[], expected: string, unable?: number): Promise<number> {
  const { printed, status } = await runToEnd(process.execPath, ['dist/test/chaos/main.js', ...args], ['ignore', 'pipe', 'inherit']);
  if (status === unable) return 0; // it has said why
  const last = printed.trimEnd().split('\n').at(-1)!;
  const asExpected = last.startsWith(expected);
  console.log(`${name}: ${asExpected ? last : printed}`);
  if (asExpected) total.passed += 1;
  else {
    total.failed += 1;
    failures.push(`chaos, ${name}: ${last}`);
  }
  return 1;
}

/** The folders that migrate, or send SQL. Programs: Debian's package. @returns how many tests ran */
async function testOnOldestPostgres(): Promise<number> {
  const programs = process.env['TEST_POSTGRES_PROGRAMS'] ?? `/usr/lib/postgresql/${oldestPostgres}/bin`;
  if (!existsSync(programs)) {
    console.log(
      `Postgres ${oldestPostgres} was not tested: there is no ${programs} (Debian: apt-get install postgresql-${oldestPostgres}).`,
    );
    return 0;
  }
  const folders = ['libs/migrations', 'libs/persistence', 'libs/bulk', 'apps/ai-processing', 'apps/connectors', 'apps/query'];
  return vitest('oldest-postgres', ['--project', 'integration', ...folders], { TEST_POSTGRES_PROGRAMS: programs });
}

/** The files whose behaviour depends on the log. @returns how many tests ran */
async function testOnKafka(): Promise<number> {
  const files = bothLogsFiles();
  for (const { file, reason } of files) console.log(`${file}: ${reason}`);
  if (way === 'none') {
    console.log('No Kafka was found: KAFKA_BROKERS is not set, no Docker engine answers, and Java 17 with Maven is not here.');
    console.log('What uses the log was tested on the local broker only.');
    if (process.env['CI'] === 'true') {
      total.failed += 1;
      failures.push('No Kafka was found: with CI=true that is a failure.');
    }
    return 0;
  }
  const started = await kafka.catch((error: unknown) => {
    total.failed += 1;
    failures.push(`Kafka did not start: ${inspect(error)}`);
  });
  const brokers = started?.brokers.join(',') ?? given;
  if (!brokers) return 0;
  try {
    const projects = ['--project', 'integration', '--project', 'journeys'];
    return await vitest('kafka', [...projects, ...files.map(({ file }) => file)], { TEST_KAFKA_BROKERS: brokers });
  } finally {
    await started?.stop();
  }
}
