/** Shorter texts are not secrets, and replacing them everywhere would make a receipt unreadable. */
const shortestSecret = 8;

/**
 * The text without the secrets that it repeats: a peer may send a credential back, as it is or escaped for JSON or a URL. A secret that was cut
 * off at the end of the text is removed, too.
 */
export function redacted(text: string, secrets: readonly string[]): string {
  const forms = new Set(secrets.filter(({ length }) => length >= shortestSecret).flatMap(formsOf));
  // The longest first: a secret may be a part of another one.
  return [...forms].toSorted((one, other) => other.length - one.length).reduce(withoutSecret, text);
}

function formsOf(secret: string): string[] {
  return [secret, secret.replaceAll('/', String.raw`\/`), JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
}

function withoutSecret(text: string, secret: string): string {
  const left = text.replaceAll(secret, '[redacted]');
  for (let length = Math.min(secret.length - 1, left.length); length >= shortestSecret; length--) {
    if (left.endsWith(secret.slice(0, length))) return `${left.slice(0, -length)}[redacted]`;
  }
  return left;
}
