import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import autocannon from 'autocannon';
import { StandardWebhookSigner } from '#libs/signatures';
import { wallTimeMs } from '#libs/time';
import { cpuMs } from '../forms/process-cpu.js';
import type { ServiceProcess } from '../forms/service-process.js';
import { startIngestion } from './acks.js';
import { applyVerificationDocuments, benchKeys } from './documents.js';
import type { BenchEnvironment } from './environment.js';
import { median } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const rounds = 3;
const secondsPerRound = 4;
const connections = 256;
/** Signed in advance, and sent in turn: the load generator shares the machine with the server and must not spend its CPU on signing. */
const webhooksPerSource = 100;

interface Webhook {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Load {
  readonly acksPerSecond: number;
  readonly cpuMicrosPerAck: number;
}

interface Contestant {
  readonly source: string;
  readonly title: string;
  readonly sign: (body: string, at: number) => Readonly<Record<string, string>>;
}

const ed25519 = generateKeyPairSync('ed25519');

/** The source of each contestant has the same name in `applyVerificationDocuments`. The first of them verifies nothing but the caller's address. */
const contestants: readonly Contestant[] = [
  { source: 'open', title: 'no verification', sign: () => ({}) },
  {
    source: 'stripe',
    title: 'Stripe',
    sign(body) {
      const timestamp = seconds();
      const signature = createHmac('sha256', benchKeys.github).update(`${timestamp}.${body}`).digest('hex');
      return { 'stripe-signature': `t=${timestamp},v1=${signature}` };
    },
  },
  {
    source: 'github',
    title: 'GitHub',
    sign: (body, at) => ({
      'x-github-event': 'issues',
      'x-github-delivery': `delivery-${at}`,
      'x-hub-signature-256': `sha256=${createHmac('sha256', benchKeys.github).update(body).digest('hex')}`,
    }),
  },
  {
    source: 'standard',
    title: 'Standard Webhooks',
    sign: (body, at) => ({
      ...new StandardWebhookSigner(benchKeys.standardWebhooks).sign({ id: `msg_${at}`, timestampSeconds: seconds(), body }),
    }),
  },
  {
    source: 'ed25519',
    title: 'ed25519 (Standard Webhooks v1a)',
    sign(body, at) {
      const timestamp = seconds();
      const signature = sign(null, Buffer.from(`msg_${at}.${timestamp}.${body}`), ed25519.privateKey).toString('base64');
      return { 'webhook-id': `msg_${at}`, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1a,${signature}` };
    },
  },
];

/**
 * Measures durable acks per second by the scheme with which the same 1 kB webhooks are verified, beside a source that verifies nothing. All are sources of
 * one process, so the rest of the work is the same; they take turns within each round.
 */
export async function benchVerification(environment: BenchEnvironment): Promise<BenchRow[]> {
  const publicKey = `whpk_${ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`;
  await applyVerificationDocuments(environment.databaseUrl, publicKey);
  const rows: BenchRow[] = [];
  for (const log of environment.logs) {
    const ingestion = await startIngestion(environment, log.brokers);
    try {
      rows.push(...(await benchLog(ingestion, log.name)));
    } finally {
      await ingestion.stop();
    }
  }
  return rows;
}

async function benchLog(ingestion: ServiceProcess, log: string): Promise<BenchRow[]> {
  const loads = new Map<Contestant, Load[]>(contestants.map((contestant) => [contestant, []]));
  for (const contestant of contestants) await load(ingestion, contestant, 1); // warm-up, not counted
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) loads.get(contestant)!.push(await load(ingestion, contestant, secondsPerRound));
  }
  console.log(
    `Durable acks by scheme, ${log} (1 kB webhook, ${connections} connections, median of ${rounds} rounds of ${secondsPerRound} s)`,
  );
  const [open, ...verified] = contestants.map((contestant) => ({ title: contestant.title, load: medians(loads.get(contestant)!) }));
  console.log(`  ${open!.title.padEnd(36)} ${described(open!.load)}`);
  return verified.map(({ title, load: found }) => {
    const share = (found.acksPerSecond / open!.load.acksPerSecond).toFixed(2);
    console.log(`  ${title.padEnd(36)} ${described(found)}   ${share} of those without verification`);
    return {
      what: `durable acks, verified by ${title}, ${log}`,
      baseline: described(open!.load),
      millrace: described(found),
      ratio: share,
    };
  });
}

/** Measures requests answered with 2xx per second. Any other response fails the bench. */
async function load({ url, pid }: ServiceProcess, contestant: Contestant, forSeconds: number): Promise<Load> {
  const webhooks = webhooksOf(contestant);
  let sent = 0;
  const setupRequest = (request: autocannon.Request): autocannon.Request => {
    const { body, headers } = webhooks[(sent += 1) % webhooks.length]!;
    return { ...request, body, headers };
  };
  const requests = [{ method: 'POST' as const, path: `/webhooks/bench.${contestant.source}`, setupRequest }];
  const cpuBeforeMs = cpuMs(pid!);
  const result = await autocannon({ url, connections, duration: forSeconds, requests });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${contestant.title}: ${result.non2xx} answers were not 2xx, ${result.errors} requests failed`);
  }
  return { acksPerSecond: result['2xx'] / result.duration, cpuMicrosPerAck: (1_000 * (cpuMs(pid!) - cpuBeforeMs)) / result['2xx'] };
}

/** Signed anew for each round, because timestamps must be of the last minutes. */
function webhooksOf({ sign: signOne }: Contestant): Webhook[] {
  return Array.from({ length: webhooksPerSource }, (_, at) => {
    const body = JSON.stringify({ id: `evt_${at}`, type: 'ticket.created', customer: `customer-${at}`, text: 'x'.repeat(900) });
    return { body, headers: { 'content-type': 'application/json', ...signOne(body, at) } };
  });
}

function seconds(): number {
  return Math.floor(wallTimeMs() / 1_000);
}

function medians(measured: readonly Load[]): Load {
  return {
    acksPerSecond: median(measured.map(({ acksPerSecond }) => acksPerSecond)),
    cpuMicrosPerAck: median(measured.map(({ cpuMicrosPerAck }) => cpuMicrosPerAck)),
  };
}

function described({ acksPerSecond, cpuMicrosPerAck }: Load): string {
  return `${perSecond(acksPerSecond)}, ${cpuMicrosPerAck.toFixed(0)} µs of CPU each`;
}
