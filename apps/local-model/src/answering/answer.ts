import type { Json } from '#libs/json';
import type { SchemaCheck } from '#libs/schemas';
import { analyse } from '../analysis/analysis.js';
import type { Analysis } from '../analysis/analysis.js';
import { languageName } from '../analysis/language.js';
import { fillSchema } from './schema-filler.js';

/** The form that the caller requests. */
export type AnswerFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'json' }
  | { readonly kind: 'schema'; readonly schema: Record<string, unknown>; readonly check: SchemaCheck };

export type GeneratedAnswer = { readonly text: string } | { readonly refusal: string };

/** Answers by rules: it analyses the inputs and ignores instructions. The same inputs and format always give the same answer. */
export function answer(inputs: readonly string[], format: AnswerFormat): GeneratedAnswer {
  const analysis = analyse(inputs);
  if (format.kind === 'text') return { text: inWords(analysis) };
  if (format.kind === 'json') return { text: JSON.stringify(inJson(analysis)) };
  const filled = fillSchema(format.schema, analysis);
  const problems = format.check.problemsOf(filled);
  return problems.length === 0
    ? { text: JSON.stringify(filled) }
    : { refusal: `local/rules-1 cannot fill this schema from the text: ${problems.join('; ')}` };
}

function inWords(analysis: Analysis): string {
  const { sentiment, topic, assessment, language } = analysis;
  const summary = analysis.summary();
  const judgement = `Sentiment: ${sentiment.label} (${sentiment.score}). Topic: ${topic.label}. Urgency: ${assessment.score} of 100.`;
  return [
    summary || 'There is no text to summarise.',
    language.english ? judgement : `Language: ${languageName(language.code)}; only English is judged.`,
  ].join('\n\n');
}

function inJson(analysis: Analysis): Json {
  const { sentiment, topic, assessment, language, entities } = analysis;
  return {
    summary: analysis.summary(),
    language: language.code,
    sentiment: { label: sentiment.label, score: sentiment.score, confidence: sentiment.confidence },
    topic: { label: topic.label, confidence: topic.confidence },
    urgency: { score: assessment.score, reasons: [...assessment.reasons] },
    entities: entities.map(({ type, value }) => ({ type, value })),
  };
}
