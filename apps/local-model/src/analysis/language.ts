import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { eld } from 'eld/small';
import { readNgrams } from './ngram-table.js';

export interface Language {
  /** ISO 639-1; `und` if the text is too short or too mixed to tell. */
  readonly code: string;
  readonly confidence: number;
  /** True if the methods that know only English may judge the text. */
  readonly english: boolean;
}

type Detector = Pick<typeof eld, 'detect'>;

const detector = await loadDetector();

/** `eld/small` with its n-grams packed. Its entry file would load them as they are, so the detector and the data are taken from behind it. */
async function loadDetector(): Promise<Detector> {
  const source = (path: string): URL => new URL(`src/${path}`, pathToFileURL(findPackageJSON('eld', import.meta.url)!));
  const { languages, ngrams } = readNgrams(readFileSync(source('ngrams/small.js'), 'utf8'));
  const { createEld } = (await import(source('languageDetector.js').href)) as {
    createEld: () => { instance: Detector; loadData: (data: object) => void };
  };
  const { instance, loadData } = createEld();
  const table = new Proxy({}, { get: (_, ngram) => ngrams.get(ngram as string) });
  loadData({ type: 'S60', languages, isSubset: false, ngrams: table });
  return instance;
}

/** Detects 60 languages by n-grams. */
export function detectLanguage(text: string): Language {
  const found = detector.detect(text.slice(0, 2_000));
  if (!found.isReliable()) return { code: found.language === 'en' ? 'en' : 'und', confidence: 0.3, english: true };
  return { code: found.language, confidence: 0.9, english: found.language === 'en' };
}

const names = new Intl.DisplayNames(['en'], { type: 'language' });

/** Returns the English name of a language, such as `German` for `de`. */
export function languageName(code: string): string {
  return code === 'und' ? 'Undetermined' : (names.of(code) ?? code);
}
