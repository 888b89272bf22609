import { clearText } from '#libs/contracts';
import type { OutboundRequest } from '../authorizer.js';
import { withHeader } from '../credential.js';
import type { Credential } from '../credential.js';

export const apiKeyAuth: Credential<'apiKey'> = (request, auth) => {
  const key = clearText(auth.value);
  if (auth.in === 'query') return { ...withParameter(request, auth.name, key), secrets: [key] };
  return { ...withHeader(request, auth.name, auth.prefix + key), secrets: [key] };
};

/** A parameter of this name that stands there already is replaced: what an event says must not choose the key. */
function withParameter(request: OutboundRequest, name: string, value: string): OutboundRequest {
  const url = new URL(request.url);
  url.searchParams.set(name, value);
  return { ...request, url: url.href };
}
