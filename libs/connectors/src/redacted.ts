/** Shorter texts are not secrets, and replacing them everywhere would make a receipt unreadable. */
const shortestSecret = 8;

/** The text without the secrets that it repeats: a peer may send a credential back. */
export function redacted(text: string, secrets: readonly string[]): string {
  return secrets.filter((secret) => secret.length >= shortestSecret).reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text);
}
