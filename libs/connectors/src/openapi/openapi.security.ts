import type { ConnectorSpec } from '#libs/contracts';
import { asObject, resolved } from './openapi.document.js';
import type { OpenApi } from './openapi.document.js';

type Auth = ConnectorSpec['auth'];

/** The kinds of credentials that the security schemes of a document stand for. One that is sent as a cookie has no kind. */
export function authOf(document: OpenApi): Auth {
  const schemes = asObject(asObject(document.root['components'])['securitySchemes']);
  const found = new Map<string, Auth[number]>();
  for (const scheme of Object.values(schemes)) {
    for (const one of kindsOf(asObject(resolved(document, scheme)))) if (!found.has(one.kind)) found.set(one.kind, one);
  }
  return found.size === 0 ? [{ kind: 'none' }] : [...found.values()];
}

function kindsOf({ type, scheme, in: place, name, flows, openIdConnectUrl }: Readonly<Record<string, unknown>>): Auth {
  if (type === 'http' && String(scheme).toLowerCase() === 'basic') return [{ kind: 'basic' }];
  if (type === 'http' && String(scheme).toLowerCase() === 'bearer') return [{ kind: 'bearer' }];
  if (type === 'apiKey' && (place === 'header' || place === 'query'))
    return [{ kind: 'apiKey', note: `With \`in: ${place}\` and \`name: ${String(name)}\`.` }];
  if (type === 'mutualTLS') return [{ kind: 'mtls' }];
  if (type === 'openIdConnect')
    return [{ kind: 'oauth2', note: `The issuer is described at ${String(openIdConnectUrl)}`.slice(0, 500) }, { kind: 'bearer' }];
  if (type !== 'oauth2') return [];
  const token = Object.values(asObject(flows))
    .map((flow) => asObject(flow)['tokenUrl'])
    .find((url) => typeof url === 'string');
  return [{ kind: 'oauth2', ...(token === undefined ? {} : { note: `Tokens come from ${token}`.slice(0, 500) }) }, { kind: 'bearer' }];
}
