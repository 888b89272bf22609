import type { Json } from '#libs/json';
import type { CodedOperations, OperationScope, RequestParts } from '../connector.js';
import { InputRefused } from '../operation.errors.js';
import { envelopeRequest } from './envelope.js';
import type { SoapVersion } from './envelope.js';
import { XmlRefused, xmlElement, xmlText } from '#libs/xml';

/** The input, which fits the schemas of the manifest. */
interface Input {
  readonly operation: string;
  readonly fields?: { readonly [name: string]: Json };
  readonly action?: string;
  readonly namespace?: string;
}

interface Settings {
  readonly version: SoapVersion;
  readonly namespace?: string;
  readonly elements: 'qualified' | 'unqualified';
}

export const soapOperations: CodedOperations = { call: enveloped, read: enveloped };

/** @throws InputRefused */
function enveloped({ input, settings }: OperationScope): RequestParts {
  const { action = '' } = input as unknown as Input;
  const { version } = settings as unknown as Settings;
  return envelopeRequest(messageOf(input as unknown as Input, settings as unknown as Settings), { version, action });
}

/** @throws InputRefused */
function messageOf({ operation, fields = {}, namespace: given }: Input, { namespace = '', elements }: Settings): string {
  const space = given ?? namespace;
  try {
    const isPrefixed = elements === 'unqualified' && space !== '';
    const contents = xmlElement(operation, fields);
    const declared = space === '' ? '' : ` xmlns${isPrefixed ? ':m' : ''}="${xmlText(space)}"`;
    const named = isPrefixed ? `m:${operation}` : operation;
    const opened = `<${named}${declared}${contents.slice(operation.length + 1)}`;
    return isPrefixed ? opened.replace(/<\/[^/]*$/, `</${named}>`) : opened;
  } catch (error) {
    if (error instanceof XmlRefused) throw new InputRefused(`The input cannot become XML: ${error.message}`, { cause: error });
    throw error;
  }
}
