import type { ConnectorSpec } from '#libs/contracts';
import type { OperationScope, RequestParts } from './connector.js';
import { compileTemplate, encodedForPath } from './template.js';
import { InputRefused } from './operation.errors.js';

/** Tells where requests of a connector may go. */
export interface Egress {
  /** The hosts of its manifest. */
  readonly hosts: readonly string[];
  /** True for an address that whoever runs this installation allows. */
  readonly isAllowed: (url: URL) => boolean;
}

/** Compiles the base of a connector. A value at its start is an address as a whole; one inside is encoded. @returns a function that throws InputRefused */
export function compileBase(text: string, egress: Egress): (scope: OperationScope) => URL {
  const isWhole = text.startsWith('{');
  let first = isWhole;
  const expand = compileTemplate(text, (value, path) => {
    const encoded = first ? value : encodedForPath(value, path);
    first = false;
    return encoded;
  });
  return (scope) => {
    first = isWhole;
    const url = URL.parse(expand(scope));
    if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password + url.search + url.hash !== '')
      throw new InputRefused('The base of the connection is no http or https address without user, query and fragment');
    requireHost(url, egress);
    return url;
  };
}

/** @throws InputRefused if the address is none that requests of the connector may go to */
export function requireHost(url: URL, { hosts, isAllowed }: Egress): void {
  if (hosts.some((pattern) => fits(pattern, url.hostname)) || isAllowed(url)) return;
  throw new InputRefused(`${url.hostname} is none of the hosts that the connector names: ${hosts.join(', ')}`);
}

function fits(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern;
}

/** The address of a request. @throws InputRefused if a part of the path would leave the base */
export function addressOf(base: URL, { path, query }: Pick<RequestParts, 'path' | 'query'>): URL {
  const segments = path.split('/');
  if (segments.some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment)))
    throw new InputRefused('A part of the path is . or .., which names another place');
  if (segments.slice(1, -1).includes('')) throw new InputRefused('A part of the path is empty');
  const url = new URL(base);
  url.pathname = base.pathname.replace(/\/$/, '') + path;
  for (const [name, value] of query) url.searchParams.append(name, value);
  return url;
}

/**
 * The problem of the base that a connector makes of a connection's settings, and the setting at fault if it is one; undefined if there is none, or if
 * it depends on the account. Its host is not looked at: the process that makes requests knows which hosts are allowed.
 * @param isTls true if the credential needs TLS
 */
export function baseProblem(
  { base }: Pick<ConnectorSpec, 'base'>,
  settings: OperationScope['settings'],
  { isTls }: { isTls: boolean },
): { path: string[]; message: string } | undefined {
  if (base === undefined || base.includes('{account.')) return undefined;
  const [, setting] = /^\{settings\.(\w+)\}$/.exec(base) ?? [];
  const path = setting === undefined ? [] : [setting];
  const subject = setting === undefined ? 'make an address that ' : '';
  try {
    const scope = { input: null, settings, account: {}, delivery: { id: '', firstAttemptAt: '', firstAttemptSeconds: 0 } };
    const { protocol } = compileBase(base, { hosts: ['*'], isAllowed: () => true })(scope);
    return isTls && protocol === 'http:' ? { path, message: `${subject}must begin with https: a client certificate needs TLS` } : undefined;
  } catch (error) {
    if (!(error instanceof InputRefused)) throw error;
    return {
      path,
      message: `${subject}must be an http or https address without user, password, query and fragment: credentials belong in \`auth\``,
    };
  }
}
