/**
 * Replaces each NUL, which a `text` column refuses, with U+FFFD. For text from outside, such as an event type, a header or a model's output. JSON
 * columns do not need it, because JSON text escapes a NUL.
 */
export function storableText(text: string): string;
export function storableText(text: string | null): string | null;
export function storableText(text: string | null): string | null {
  return text?.replaceAll('\u0000', '\ufffd') ?? null;
}
