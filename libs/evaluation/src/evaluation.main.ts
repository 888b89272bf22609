import { parseStoredJson } from '#libs/json';
import { LruMap } from '#libs/lru';
import type { EvaluationAnswer, EvaluationReport, EvaluationRequest } from './evaluation-messages.js';
import type { EvaluationProgram, Evaluator } from './evaluation-program.js';
import { ProcessorTime } from './processor-time.js';

// The process that evaluates what could take long. It answers one request after the other, and may be killed at any time.

const { compile } = (await import(process.argv[2]!)) as EvaluationProgram;
const time = new ProcessorTime();
const compiled = new LruMap<string, Evaluator>(500);

async function report(request: EvaluationRequest): Promise<EvaluationReport> {
  time.start(request.limits.timeoutMs);
  const given = await answer(request);
  return { answer: given, usedMs: time.stop() };
}

async function answer({ text, limits, input }: EvaluationRequest): Promise<EvaluationAnswer> {
  try {
    const evaluate = compiled.getOrMake(`${JSON.stringify(limits)} ${text}`, () => compile(text, limits, () => time.allowedMs()));
    const result = await evaluate(parseStoredJson(input));
    if ('failure' in result) {
      const { reason, limit, position } = result.failure; // its cause may be anything
      return { failure: { reason, limit, position } };
    }
    return { value: result.value === undefined ? undefined : JSON.stringify(result.value) };
  } catch (error) {
    return { defect: String(error) };
  }
}

process.title = 'millrace evaluation';
// A signal to the whole group, such as Ctrl-C, is for the parent, which may still need answers.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(0));
process.on('message', (request: EvaluationRequest) => {
  void report(request).then((result) => process.send!(result));
});
process.send!('ready');
