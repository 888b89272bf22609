import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';

/** LiteLLM's proxy in a process of its own. */
export interface LiteLlm {
  readonly version: string;
  readonly origin: string;
  /** The process, whose CPU is that of the proxy alone. */
  readonly pid: number;
  /** Headers that the proxy asks for. */
  readonly headers: Readonly<Record<string, string>>;
  stop(): void;
}

/** It loads its packages, which takes up to a minute on a busy machine. */
const startMs = 180_000;

/**
 * Starts the proxy with one worker, as its documents do, a peer for measurements that Millrace itself does not need. It is the command of the variable
 * `LITELLM`, else `litellm` on the path.
 * @param provider the origin of the OpenAI-compatible server behind it
 * @returns undefined, after a printed reason, if there is none
 */
export async function startLiteLlm(provider: string): Promise<LiteLlm | undefined> {
  const program = process.env['LITELLM'] ?? 'litellm';
  const version = await promisify(execFile)(program, ['--version']).then(
    ({ stdout }) => /Version = (\S+)/.exec(stdout)?.[1] ?? 'of an unknown version',
    (error: Error) => error,
  );
  if (version instanceof Error) {
    const hint = "make one with `python3 -m venv V && V/bin/pip install 'litellm[proxy]'`, and set LITELLM to V/bin/litellm";
    console.log(`LiteLLM is left out, because ${program} cannot be run: ${version.message.split('\n')[0]}; ${hint}`);
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'millrace-litellm-'));
  const config = join(folder, 'config.yaml');
  const model = { model_name: '*', litellm_params: { model: 'openai/*', api_base: `${provider}/v1`, api_key: 'bench' } };
  writeFileSync(config, JSON.stringify({ model_list: [model] })); // JSON is YAML
  const [port, key] = [await freePort(), `sk-${randomBytes(24).toString('hex')}`];
  const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1', '--telemetry', 'False'];
  const child: ChildProcess = spawn(program, args, {
    stdio: 'ignore',
    env: { ...process.env, LITELLM_MASTER_KEY: key, LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' },
  });
  const stop = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', stop);
  const origin = `http://127.0.0.1:${port}`;
  await waitFor(() => isAlive(origin), { what: 'LiteLLM’s proxy', deadlineMs: startMs });
  return { version, origin, pid: child.pid!, headers: { authorization: `Bearer ${key}` }, stop };
}

async function isAlive(origin: string): Promise<boolean> {
  return await fetch(`${origin}/health/liveliness`).then(
    ({ ok }) => ok,
    () => false,
  );
}
