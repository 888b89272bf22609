import { isIP } from 'node:net';
import type { ConnectorSpec } from '#libs/contracts';
import { forbiddenRange } from '#libs/http';
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

/** The base of a connector with these settings. @throws InputRefused */
function baseOf(base: string, settings: OperationScope['settings']): URL {
  const scope = { input: null, settings, account: {}, delivery: { id: '', firstAttemptAt: '', firstAttemptSeconds: 0 } };
  return compileBase(base, { hosts: ['*'], isAllowed: () => true })(scope);
}

/** Ends of the names of machines that only an inner network knows. */
const innerNames = /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa|test|invalid|svc)$/i;

/** True for a host that is no public one by its name or address, such as that of a stand-in. */
function isInner(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) return forbiddenRange(host) !== null;
  return !host.includes('.') || innerNames.test(host);
}

/**
 * The problem of a base whose host is none that its connector names; undefined if it is one, if whoever runs the installation allows it, or if it
 * depends on the account. `isCertain` is false for an inner host: another process may allow it.
 */
export function hostProblem(
  { base, hosts }: Pick<ConnectorSpec, 'base' | 'hosts'>,
  settings: OperationScope['settings'],
  isAllowed: Egress['isAllowed'],
): { path: string[]; message: string; isCertain: boolean } | undefined {
  if (base === undefined || base.includes('{account.')) return undefined;
  let url: URL;
  try {
    url = baseOf(base, settings);
  } catch (error) {
    if (error instanceof InputRefused) return undefined; // told by baseProblem
    throw error;
  }
  if (hosts.some((pattern) => fits(pattern, url.hostname)) || isAllowed(url)) return undefined;
  const isCertain = !isInner(url.hostname);
  const named = `is at ${url.hostname}, which is none of the hosts that the connector names: ${hosts.join(', ')}`;
  const remedy = isCertain
    ? 'correct it, or allow it by DELIVERY_ALLOWED_URLS of the services'
    : 'requests are refused, unless DELIVERY_ALLOWED_URLS of the services allows it, as for a stand-in';
  return { path: settingOf(base), message: `${named}; ${remedy}`, isCertain };
}

/** The setting that is the base, if one alone is. */
function settingOf(base: string): string[] {
  const [, setting] = /^\{settings\.(\w+)\}$/.exec(base) ?? [];
  return setting === undefined ? [] : [setting];
}

/**
 * The problem of the base that a connector makes of a connection's settings, and the setting at fault if it is one; undefined if there is none, or if
 * it depends on the account. Its host is not looked at, see {@link hostProblem}.
 * @param isTls true if the credential needs TLS
 */
export function baseProblem(
  { base }: Pick<ConnectorSpec, 'base'>,
  settings: OperationScope['settings'],
  { isTls }: { isTls: boolean },
): { path: string[]; message: string } | undefined {
  if (base === undefined || base.includes('{account.')) return undefined;
  const path = settingOf(base);
  const subject = path.length === 0 ? 'make an address that ' : '';
  try {
    const { protocol } = baseOf(base, settings);
    return isTls && protocol === 'http:' ? { path, message: `${subject}must begin with https: a client certificate needs TLS` } : undefined;
  } catch (error) {
    if (!(error instanceof InputRefused)) throw error;
    return {
      path,
      message: `${subject}must be an http or https address without user, password, query and fragment: credentials belong in \`auth\``,
    };
  }
}
