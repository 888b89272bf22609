import type { Json } from '#libs/json';
import type { CodedOperations, OperationScope, RequestParts } from '../connector.js';
import { InputRefused } from '../operation.errors.js';
import { checkedForHeader } from '../template.js';
import { XmlRefused, xmlElement, xmlText } from '../xml.js';

/** The input, which fits the schemas of the manifest. */
interface Input {
  readonly operation: string;
  readonly fields?: { readonly [name: string]: Json };
  readonly action?: string;
  readonly namespace?: string;
}

interface Settings {
  readonly version: '1.1' | '1.2';
  readonly namespace?: string;
  readonly elements: 'qualified' | 'unqualified';
}

const envelopes = { '1.1': 'http://schemas.xmlsoap.org/soap/envelope/', '1.2': 'http://www.w3.org/2003/05/soap-envelope' } as const;

export const soapOperations: CodedOperations = { call: enveloped, read: enveloped };

/** @throws InputRefused */
function enveloped({ input, settings }: OperationScope): RequestParts {
  const { version } = settings as unknown as Settings;
  const { action = '' } = input as unknown as Input;
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
    body: envelopeOf(input as unknown as Input, settings as unknown as Settings),
  };
}

/** The header is empty: a credential may go there. @throws InputRefused */
function envelopeOf({ operation, fields = {}, namespace: given }: Input, { version, namespace = '', elements }: Settings): string {
  const space = given ?? namespace;
  try {
    const isPrefixed = elements === 'unqualified' && space !== '';
    const contents = xmlElement(operation, fields);
    const declared = space === '' ? '' : ` xmlns${isPrefixed ? ':m' : ''}="${xmlText(space)}"`;
    const named = isPrefixed ? `m:${operation}` : operation;
    const opened = `<${named}${declared}${contents.slice(operation.length + 1)}`;
    const message = isPrefixed ? opened.replace(/<\/[^/]*$/, `</${named}>`) : opened;
    return `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="${envelopes[version]}"><soap:Header></soap:Header><soap:Body>${message}</soap:Body></soap:Envelope>`;
  } catch (error) {
    if (error instanceof XmlRefused) throw new InputRefused(`The input cannot become XML: ${error.message}`, { cause: error });
    throw error;
  }
}

function quoted(action: string): string {
  if (/["\\]/.test(action)) throw new InputRefused('input.action holds a quotation mark or a backslash');
  return `"${checkedForHeader(action, 'input.action')}"`;
}
