/**
 * Text as a `text` column takes it: Postgres keeps no NUL, so each becomes U+FFFD. For what others wrote (a type, a header, an answer); JSON needs
 * it not, because there a NUL is an escape.
 */
export function storableText(text: string): string;
export function storableText(text: string | null): string | null;
export function storableText(text: string | null): string | null {
  return text?.replaceAll('\u0000', '\ufffd') ?? null;
}
