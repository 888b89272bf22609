import type { Document } from './document.js';
import type { Secret } from './secret.js';

/** The document with each of its secrets changed; it alone knows where a kind of document has them. */
export function mapSecrets<D extends Document>(document: D, change: (secret: Secret, path: string[]) => Secret): D {
  if (document.kind === 'Destination') {
    return { ...document, spec: { ...document.spec, secret: change(document.spec.secret, ['spec', 'secret']) } };
  }
  if (document.kind === 'Source' && document.spec.scheme !== 'api-key') {
    const secrets = document.spec.secrets.map((secret, at) => change(secret, ['spec', 'secrets', String(at)]));
    return { ...document, spec: { ...document.spec, secrets } };
  }
  return document;
}
