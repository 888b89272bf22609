import { Worker } from 'node:worker_threads';
import { parseStoredJson } from '#libs/json';
import { compileEvaluation } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import type { EvaluationAnswer, EvaluationRequest } from './evaluation-processes.js';
import { ExpressionFailed } from './expression.errors.js';

// The process that evaluates expressions which could take long. It answers one request after the other, and may be killed at any time.

/** Compiled expressions that are kept. */
const cacheSize = 500;
const compiled = new Map<string, Evaluation>();

function compile({ text, limits }: EvaluationRequest): Evaluation {
  const key = `${JSON.stringify(limits)} ${text}`;
  const known = compiled.get(key) ?? compileEvaluation(text, limits);
  compiled.delete(key);
  compiled.set(key, known);
  if (compiled.size > cacheSize) compiled.delete(compiled.keys().next().value!);
  return known;
}

async function answer(request: EvaluationRequest): Promise<EvaluationAnswer> {
  try {
    const value = await compile(request).evaluate(parseStoredJson(request.input));
    return { value: value === undefined ? undefined : JSON.stringify(value) };
  } catch (error) {
    return error instanceof ExpressionFailed ? { failed: error.reason, limit: error.limit } : { defect: String(error) };
  }
}

/** Ends this process soon after its parent has ended, whatever the main thread is doing. */
const watch = `const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 1_000);`;

process.title = 'millrace expressions';
// A signal to the whole group, such as Ctrl-C, is for the parent, which may still need answers.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (request: EvaluationRequest) => {
  void answer(request).then((result) => process.send!(result));
});
new Worker(watch, { eval: true }).unref();
process.send!('ready');
