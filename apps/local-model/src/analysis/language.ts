import { eld } from 'eld/small';

export interface Language {
  /** ISO 639-1; `und` if the text is too short or too mixed to tell. */
  readonly code: string;
  readonly confidence: number;
  /** True if the methods that know only English may judge the text. */
  readonly english: boolean;
}

/** Detects 60 languages by n-grams. */
export function detectLanguage(text: string): Language {
  const found = eld.detect(text.slice(0, 2_000));
  if (!found.isReliable()) return { code: found.language === 'en' ? 'en' : 'und', confidence: 0.3, english: true };
  return { code: found.language, confidence: 0.9, english: found.language === 'en' };
}

const names = new Intl.DisplayNames(['en'], { type: 'language' });

/** Returns the English name of a language, such as `German` for `de`. */
export function languageName(code: string): string {
  return code === 'und' ? 'Undetermined' : (names.of(code) ?? code);
}
