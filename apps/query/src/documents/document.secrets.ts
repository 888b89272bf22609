import type { Document, Secret } from '#libs/contracts';

/** Where a kind of document has secrets; every other field may look like one and is none. */
export function mapSecrets(document: Document, change: (secret: Secret, path: string[]) => unknown): unknown {
  if (document.kind === 'Destination') {
    return { ...document, spec: { ...document.spec, secret: change(document.spec.secret, ['spec', 'secret']) } };
  }
  if (document.kind === 'Source' && document.spec.scheme !== 'api-key') {
    const secrets = document.spec.secrets.map((secret, at) => change(secret, ['spec', 'secrets', String(at)]));
    return { ...document, spec: { ...document.spec, secrets } };
  }
  return document;
}
