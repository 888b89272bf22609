import { Pool } from 'undici';
import { DomainError, failures } from '#libs/contracts';
import { createVerifier, providers } from '#libs/signatures';
import type { ProviderPreset, Verifier } from '#libs/signatures';
import { SeededRandom, uniqueName, waitFor } from '#libs/testing';
import { wallTimeMs } from '#libs/time';
import type { PresetProof } from '../../libs/signatures/src/proof.js';
import { proofs } from '../../libs/signatures/src/proofs.generated.js';
import { oneProcess } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { applyDocuments } from './apply-documents.js';
import { MadeUpRequests, presetNames, queryOf } from './made-up-requests.js';
import type { MadeUpRequest, PresetName } from './made-up-requests.js';

export interface VerifierFuzzOptions {
  /** Requests for the verifiers alone. */
  readonly requests: number;
  /** Requests over HTTP, for the door of a process. */
  readonly overHttp: number;
  readonly seed: number;
}

export interface VerifierFuzzReport {
  /** Requests by what came of them: `refused signature.mismatch`, `accepted`, `crashed`. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Requests by preset. */
  readonly presets: Readonly<Record<string, number>>;
  /** Requests over HTTP by their status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** The first requests that were accepted, crashed a verifier or were answered 2xx or 5xx. */
  readonly findings: readonly string[];
  readonly findingCount: number;
  readonly requestsPerSecond: number;
}

const noteEvery = 100_000;
const httpConnections = 8;

/** Sends made-up requests to the verifier of each preset, and some of them over HTTP to the door of a process with a source for each preset. */
export async function fuzzVerifiers(
  { requests, overHttp, seed }: VerifierFuzzOptions,
  note: (line: string) => void = () => undefined,
): Promise<VerifierFuzzReport> {
  const findings = new Findings();
  const verdicts = new Map<string, number>();
  const presets = new Map<string, number>();
  const nowMs = wallTimeMs();
  const drawn = new MadeUpRequests(new SeededRandom(seed), nowMs);
  const verifiers = new Map(presetNames.map((name) => [name, verifierOf(name)]));
  const startedAt = performance.now();
  for (let sent = 1; sent <= requests; sent += 1) {
    const request = drawn.draw();
    const verdict = verdictOf(verifiers.get(request.preset)!, request, nowMs);
    if (!verdict.startsWith('refused ')) findings.add(request, verdict);
    count(verdicts, verdict);
    count(presets, request.preset);
    if (sent % noteEvery === 0) note(`${sent} of ${requests}`);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const statuses = overHttp === 0 ? new Map<string, number>() : await sendOverHttp(overHttp, seed + 1, findings, note);
  return {
    verdicts: sorted(verdicts),
    presets: sorted(presets),
    statuses: sorted(statuses),
    findings: findings.first,
    findingCount: findings.count,
    requestsPerSecond: Math.round(requests / seconds),
  };
}

/** The first findings, and how many there were. */
class Findings {
  readonly first: string[] = [];
  count = 0;

  add({ preset, manner, target, rawHeaders, rawBody }: MadeUpRequest, what: string): void {
    this.count += 1;
    if (this.first.length < 5)
      this.first.push(JSON.stringify({ what, preset, manner, target, rawHeaders, body: rawBody.toString('latin1') }).slice(0, 3_000));
  }
}

function verifierOf(name: PresetName): Verifier {
  const { scheme, aliases }: ProviderPreset = providers[name];
  const { secrets, publicUrl, parameters = {} }: PresetProof = proofs[name];
  return createVerifier(scheme, [secrets[0].secret], { aliases, publicUrl, parameters });
}

function verdictOf(verifier: Verifier, request: MadeUpRequest, nowMs: number): string {
  try {
    verifier.verify(request, nowMs);
    return 'accepted';
  } catch (error) {
    if (error instanceof DomainError && failures[error.code].httpStatus < 500) return `refused ${error.code}`;
    return `crashed: ${error instanceof Error ? error.message.slice(0, 100) : String(error)}`;
  }
}

async function sendOverHttp(
  requests: number,
  seed: number,
  findings: Findings,
  note: (line: string) => void,
): Promise<ReadonlyMap<string, number>> {
  const form = await oneProcess({ logPrefix: '', logLevel: 'error' });
  const statuses = new Map<string, number>();
  try {
    await form.start();
    const tenant = await applySources(form);
    const pool = new Pool(form.doors, { connections: httpConnections });
    const drawn = new MadeUpRequests(new SeededRandom(seed), wallTimeMs());
    let begun = 0;
    const work = async (): Promise<void> => {
      while (begun < requests) {
        begun += 1;
        if (begun % 5_000 === 0) note(`${begun} of ${requests} over HTTP`);
        const request = drawn.draw();
        if (!isSendable(request)) {
          begun -= 1; // no client can send it
          continue;
        }
        const status = await statusOf(pool, tenant, request);
        if (!/^4\d\d$/.test(status)) findings.add(request, `answered ${status}`);
        count(statuses, status);
      }
    };
    await Promise.all(Array.from({ length: httpConnections }, work));
    await pool.close();
    return statuses;
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${form.tail()}`, { cause: error });
  } finally {
    await form.dispose();
  }
}

async function statusOf(pool: Pool, tenant: string, { preset, target, rawHeaders, rawBody }: MadeUpRequest): Promise<string> {
  const query = queryOf(target) === '' ? '' : `?${queryOf(target)}`;
  const response = await pool.request({
    method: 'POST',
    path: `/webhooks/${tenant}.${preset}${query}`,
    headers: [...rawHeaders],
    body: rawBody,
  });
  await response.body.dump();
  return String(response.statusCode);
}

/** True if a client can send it, and nothing between changes it: white space around a value is no part of it. */
function isSendable({ target, rawHeaders }: MadeUpRequest): boolean {
  return /^[!-~]*$/.test(target) && !target.includes('#') && rawHeaders.every((text) => /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(text));
}

/** A source for each preset. @returns the tenant */
async function applySources(form: Form): Promise<string> {
  const tenant = uniqueName('fuzz');
  const head = { apiVersion: 'millrace/v1' };
  const sources = presetNames.map((name) => {
    const { secrets, publicUrl, parameters }: PresetProof = proofs[name];
    const spec = { scheme: name, secrets: [{ value: secrets[0].secret }], publicUrl, parameters };
    return { ...head, kind: 'Source', metadata: { tenant, name }, spec };
  });
  const documents = [{ ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Fuzz' } }, ...sources];
  await applyDocuments(form, tenant, documents);
  const address = `${form.doors}/webhooks/${tenant}.${presetNames.at(-1)!}`;
  const isKnown = async (): Promise<boolean> => (await fetch(address, { method: 'POST' })).status === 401;
  await waitFor(isKnown, { deadlineMs: 30_000, what: 'the sources to be known' });
  return tenant;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function sorted(counts: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
