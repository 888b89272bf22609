/**
 * `npm test`: everything, in the order in which a failure is cheapest to find. The parts that use the log run twice: on the local broker, and
 * on a real Kafka from KAFKA_BROKERS, Docker or Java, in that order. The last line counts: `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findKafka, startKafka } from '../kafka/kafka.js';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const reports = mkdtempSync(join(tmpdir(), 'millrace-test-'));

function step(title: string): void {
  console.log(`\n━━ ${title}`);
}

/** Runs vitest projects and adds their counts; a run that dies without a report is one failure. */
function vitest(title: string, args: readonly string[], environment: Record<string, string> = {}): void {
  step(title);
  const report = join(reports, `${title.replace(/\W+/g, '-')}.json`);
  const run = spawnSync('npx', ['vitest', 'run', ...args, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], {
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  const counts = countsOf(report);
  if (run.status !== 0 && counts.failed === 0) counts.failed = 1;
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

/** One run of the chaos harness, one test: its last line must begin with what is expected. */
function chaos(title: string, args: readonly string[], expected: string): void {
  step(title);
  const run = spawnSync(process.execPath, ['dist/test/chaos/main.js', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = run.stdout.trimEnd().split('\n').at(-1)?.startsWith(expected) === true;
  console.log(ended ? run.stdout.trimEnd().split('\n').at(-1) : run.stdout);
  if (ended) total.passed += 1;
  else total.failed += 1;
}

function countsOf(report: string): Counts {
  try {
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>;
    return { passed: numPassedTests ?? 0, failed: numFailedTests ?? 0, skipped: numPendingTests ?? 0 };
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

vitest('Unit', ['--project', 'unit']);
vitest('On the local broker', ['--project', 'integration', '--project', 'journeys']);

chaos('Chaos, a short run', ['--minutes', '1', '--rate', '60', '--seed', '16', '--faults', 'kill,pause,broker,postgres,sink'], 'passed');
for (const [plant, faults, minutes] of [
  ['no-dedupe', 'none', '0.2'],
  ['wrong-key', 'none', '0.2'],
  ['commit-early', 'model', '0.3'], // the model hangs meanwhile, so that what is committed early is not finished within the same second
] as const) {
  chaos(
    `Chaos, ${plant} planted`,
    ['--minutes', minutes, '--rate', '40', '--faults', faults, '--plant', plant],
    'the planted bug was found',
  );
}

const given = process.env['KAFKA_BROKERS'];
const way = await findKafka(given);
step(`On Kafka (${way})`);
if (way === 'none') {
  console.log('No Kafka was found: KAFKA_BROKERS is not set, no Docker engine answers, and Java 17 with Maven is not here.');
  console.log('What uses the log was tested on the local broker only.');
  if (process.env['CI'] === 'true') {
    console.log('With CI=true that is a failure.');
    total.failed += 1;
  }
} else if (way === 'brokers') {
  testOnKafka(given!.split(','));
} else {
  const kafka = await startKafka({ way });
  try {
    testOnKafka(kafka.brokers);
  } finally {
    await kafka.stop();
  }
}

/** Everything whose behaviour depends on the log. */
function testOnKafka(brokers: readonly string[]): void {
  const onLog = ['libs/messaging', 'apps/ingestion', 'apps/ai-processing', 'apps/connectors', 'test/journeys'];
  vitest('On Kafka, tests', ['--project', 'integration', '--project', 'journeys', ...onLog], { TEST_KAFKA_BROKERS: brokers.join(',') });
}

rmSync(reports, { recursive: true, force: true });
console.log(`\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed === 0 ? 0 : 1);
