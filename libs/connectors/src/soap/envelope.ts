import type { RequestParts } from '../connector.js';
import { InputRefused } from '../operation.errors.js';
import { checkedForHeader } from '../template.js';

export type SoapVersion = '1.1' | '1.2';

export const envelopeSpaces = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
} as const;

/** The request of a message, in an envelope whose header is empty: a credential may go there. @throws InputRefused */
export function envelopeRequest(
  message: string,
  { version, action }: { readonly version: SoapVersion; readonly action: string },
): RequestParts {
  const type = version === '1.1' ? 'text/xml; charset=utf-8' : `application/soap+xml; charset=utf-8; action=${quoted(action)}`;
  return {
    method: 'POST',
    path: '',
    query: [],
    headers: {
      'content-type': type,
      accept: version === '1.1' ? 'text/xml' : 'application/soap+xml',
      ...(version === '1.1' ? { soapaction: quoted(action) } : {}),
    },
    body: `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="${envelopeSpaces[version]}"><soap:Header></soap:Header><soap:Body>${message}</soap:Body></soap:Envelope>`,
  };
}

function quoted(action: string): string {
  if (/["\\]/.test(action)) throw new InputRefused('input.action holds a quotation mark or a backslash');
  return `"${checkedForHeader(action, 'input.action')}"`;
}
