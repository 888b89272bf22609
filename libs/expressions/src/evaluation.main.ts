import { parseStoredJson } from '#libs/json';
import { LruMap } from '#libs/lru';
import { compileEvaluation } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import type { EvaluationAnswer, EvaluationRequest } from './evaluation-messages.js';
import { ProcessorTime } from './processor-time.js';

// The process that evaluates expressions which could take long. It answers one request after the other, and may be killed at any time.

const time = new ProcessorTime();
const compiled = new LruMap<string, Evaluation>(500);

function compile({ text, limits }: EvaluationRequest): Evaluation {
  return compiled.getOrMake(`${JSON.stringify(limits)} ${text}`, () => compileEvaluation(text, limits, () => time.allowedMs()));
}

async function answer(request: EvaluationRequest): Promise<EvaluationAnswer> {
  time.start(request.limits.timeoutMs);
  try {
    const result = await compile(request).evaluate(parseStoredJson(request.input));
    if ('failure' in result) return { failure: { reason: result.failure.reason, limit: result.failure.limit } };
    return { value: result.value === undefined ? undefined : JSON.stringify(result.value) };
  } catch (error) {
    return { defect: String(error) };
  } finally {
    time.stop();
  }
}

process.title = 'millrace expressions';
// A signal to the whole group, such as Ctrl-C, is for the parent, which may still need answers.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (request: EvaluationRequest) => {
  void answer(request).then((result) => process.send!(result));
});
process.send!('ready');
