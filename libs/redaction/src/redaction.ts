/** Shorter texts are not secrets, and replacing them everywhere would make a receipt unreadable. */
const shortestSecret = 8;
const mark = '[redacted]';

/**
 * Removes secrets from what a peer sends: it may send a credential back, as it is or escaped for JSON or a URL. A secret that was cut off at the
 * end of the text is removed, too.
 */
export class Redaction {
  /** The longest first: a secret may be a part of another one. */
  private readonly forms: readonly string[];

  constructor(secrets: readonly string[]) {
    const forms = new Set(secrets.filter(({ length }) => length >= shortestSecret).flatMap(formsOf));
    this.forms = [...forms].toSorted((one, other) => other.length - one.length);
  }

  apply(text: string): string {
    return text === '' ? text : this.forms.reduce(withoutForm, text);
  }
}

function formsOf(secret: string): string[] {
  return [secret, secret.replaceAll('/', String.raw`\/`), JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
}

function withoutForm(text: string, form: string): string {
  const left = text.replaceAll(form, mark);
  const start = left.lastIndexOf(form.slice(0, shortestSecret));
  return start >= 0 && form.startsWith(left.slice(start)) ? left.slice(0, start) + mark : left;
}
