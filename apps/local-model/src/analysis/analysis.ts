import { readEnglish } from '../text/english.js';
import type { Sentence } from '../text/english.js';
import { readSource, wordsOf } from '../text/source-text.js';
import type { Fact } from '../text/source-text.js';
import { rankCandidates } from './candidates.js';
import type { Candidate } from './candidates.js';
import { findEntities } from './entities.js';
import type { Entity } from './entities.js';
import { detectLanguage, languageName } from './language.js';
import type { Language } from './language.js';
import { assess } from './scorecard.js';
import type { Assessment } from './scorecard.js';
import { judgeSentiment, noSentiment } from './sentiment.js';
import type { Sentiment } from './sentiment.js';
import { qualityOf } from './quality.js';
import { rankSentences, summarise } from './summary.js';
import { TopicModel } from './topic.js';
import type { TopicGuess } from './topic.js';

/** The results of all methods for one text. */
export interface Analysis {
  /** The words of passages and facts. */
  readonly text: string;
  /** Stems of the words that carry meaning, stop words left out. */
  readonly stems: readonly string[];
  readonly language: Language;
  readonly sentiment: Sentiment;
  readonly topic: TopicGuess;
  readonly entities: readonly Entity[];
  readonly assessment: Assessment;
  /** Sentences that a person wrote, the most central one first, without facts. */
  readonly sentences: readonly Sentence[];
  readonly facts: readonly Fact[];
  /** How much the text tells, 0 to 1. */
  readonly quality: number;
  /** The items of a list in the input that could be recommended, the best one first; ranked when it is first asked. */
  candidates(): readonly Candidate[];
  summary(maxLength?: number): string;
}

const topics = new TopicModel();

/** The same inputs always give the same analysis. */
export function analyse(inputs: readonly string[]): Analysis {
  const source = readSource(inputs);
  const text = wordsOf(source);
  const written = source.passages.join('\n');
  const language = detectLanguage(written || text);
  const english = readEnglish(text);
  let candidates: readonly Candidate[] | undefined;
  const sentences = written === '' ? [] : readEnglish(written.slice(0, text.length)).sentences;
  const stems = english.sentences.flatMap(({ words }) => words.filter(({ content }) => content).map(({ stem }) => stem));
  const entities = findEntities(source, english.dates);
  const sentiment = language.english ? judgeSentiment(english) : noSentiment;
  return {
    text,
    stems,
    language,
    sentiment,
    topic: topics.guess(language.english ? stems : []),
    entities,
    assessment: language.english ? assess(text, sentiment, entities) : foreign(language.code),
    sentences: rankSentences(sentences),
    facts: source.facts,
    quality: qualityOf(english),
    candidates: () => (candidates ??= rankCandidates(inputs)),
    summary: (maxLength) => summarise(sentences, source.facts, maxLength),
  };
}

/** A middle score for a text in another language, which the rules cannot judge. */
function foreign(code: string): Assessment {
  return { score: 50, reasons: [`The text is in ${languageName(code)}, and only English is judged; a person should look.`] };
}
