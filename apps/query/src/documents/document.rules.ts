import type { Principal, StoredApiKey } from '#libs/auth';
import { eventSourceKinds, referencesOf, tenantOf } from '#libs/contracts';
import type { Document, DocumentKind, DocumentLookup } from '#libs/contracts';
import { connectorDoubts, connectorProblems, modelChosenAddresses, unknownReferences, usesConnector } from '#libs/documents';
import type { AllowedAddresses, DocumentProblem } from '#libs/documents';
import type { Violation } from '../operations/input.errors.js';
import type { DocumentName, ExpectedVersion } from './document.operations.js';

/** A document of the tenant, as far as the rules look at it. */
export interface NamedDocument extends DocumentName {
  readonly document: Document;
}

/** An expectation that no document of the request could fail would only seem to protect something. */
export function misdirected(
  { kind, name }: ExpectedVersion,
  at: number,
  expected: readonly ExpectedVersion[],
  changed: readonly DocumentName[],
): Violation[] {
  const path = ['expectedVersions', String(at), 'name'];
  if (!changed.some((one) => isSame(one, { kind, name }))) return [{ path, message: `is not among the documents: ${kind}/${name}` }];
  return twice({ kind, name }, at, expected, path);
}

function twice(named: DocumentName, at: number, all: readonly DocumentName[], path: string[]): Violation[] {
  const isRepeated = all.findIndex((each) => isSame(each, named)) !== at;
  return isRepeated ? [{ path, message: `is given twice: ${named.kind}/${named.name}` }] : [];
}

/** Problems of a removal that the request alone shows. */
export function irremovable(named: DocumentName, at: number, remove: readonly DocumentName[], given: readonly DocumentName[]): Violation[] {
  const path = ['remove', String(at), 'name'];
  const { kind, name } = named;
  if (kind === 'Tenant') return [{ path, message: `is the tenant itself: ${name}; remove it alone, with removeDocument` }];
  if (given.some((one) => isSame(one, named)))
    return [{ path, message: `is also among the documents: ${kind}/${name}; leave it out of one of the two` }];
  return twice(named, at, remove, path);
}

/** Problems of a removal, given the documents that the tenant would have after it. */
export function unremovable(
  named: DocumentName,
  at: number,
  stored: readonly NamedDocument[],
  after: readonly NamedDocument[],
): Violation[] {
  const path = ['remove', String(at), 'name'];
  const { kind, name } = named;
  if (!stored.some((row) => isSame(named, row))) return [{ path, message: `names no document of this tenant: ${kind}/${name}` }];
  return inUse(named, after).map((message) => ({ path, message: `${message}: ${kind}/${name}; change or remove what uses it, too` }));
}

/** The documents after the change; what the request gives takes the place of what is stored. */
export function rowsAfter(kept: readonly NamedDocument[], given: readonly Document[]): NamedDocument[] {
  return [
    ...kept.filter((row) => !given.some((document) => isSame(nameOf(document), row))),
    ...given.map((document) => ({ ...nameOf(document), document })),
  ];
}

export function nameOf({ kind, metadata: { name } }: Document): DocumentName {
  return { kind, name };
}

export function isSame(one: DocumentName, other: DocumentName): boolean {
  return one.kind === other.kind && one.name === other.name;
}

/** Problems of the place of a document: another tenant's, or the operator's. */
export function misplaced({ tenant, actor }: Principal, document: Document): DocumentProblem[] {
  const owner = tenantOf(document);
  if (owner !== tenant) {
    const path = document.kind === 'Tenant' ? ['metadata', 'name'] : ['metadata', 'tenant'];
    return [{ path, message: `is ${owner}, and this key acts in ${tenant}` }];
  }
  return document.kind === 'Tenant' && actor !== 'operator' ? [{ path: ['kind'], message: 'Tenant is for the operator’s key' }] : [];
}

/** References of the document to what neither the apply nor the tenant has. @param known the names of all of these */
export function missing(document: Document, known: readonly DocumentName[]): DocumentProblem[] {
  const tenant = tenantOf(document);
  if (!known.some((one) => isSame(one, { kind: 'Tenant', name: tenant })))
    return [{ path: ['metadata', 'tenant'], message: `names no tenant: ${tenant}; apply its Tenant document first, or with this one` }];
  return unknownReferences(referencesOf(document), known);
}

/** Two documents that events come from, of which no event could say from which of the two it came. */
export function ambiguous(document: Document, after: readonly NamedDocument[]): DocumentProblem[] {
  const { kind, name } = nameOf(document);
  if (!isEventSource(kind)) return [];
  const other = after.find((one) => one.kind !== kind && isEventSource(one.kind) && one.name === name);
  if (other === undefined) return [];
  const message = `is the name of a ${other.kind}, too: ${name}; an event says by the name alone where it came from, so choose another name or remove the ${other.kind} with this apply`;
  return [{ path: ['metadata', 'name'], message }];
}

function isEventSource(kind: DocumentKind): boolean {
  return eventSourceKinds.some((one) => one === kind);
}

/** Doubts about a document that depend on others of its tenant. */
export function doubtsAmong(document: Document, after: readonly NamedDocument[], allowed: AllowedAddresses): DocumentProblem[] {
  const find = lookupIn(after);
  return [...modelChosenAddresses(document, find), ...connectorDoubts(document, find, allowed), ...uncountedCurrency(document, after)];
}

/** A budget in a currency that no model costs in is never spent. */
function uncountedCurrency(document: Document, after: readonly NamedDocument[]): DocumentProblem[] {
  if (document.kind !== 'Budget' || document.spec.currency === undefined) return [];
  const { currency } = document.spec;
  const priced = after.flatMap((row) =>
    row.document.kind === 'ModelProvider' && Object.values(row.document.spec.models).some(({ price }) => price !== undefined)
      ? [row.document.spec.currency]
      : [],
  );
  if (priced.includes(currency)) return [];
  const others = priced.length === 0 ? 'none has a price' : `their prices are in ${[...new Set(priced)].join(', ')}`;
  return [{ path: ['spec', 'currency'], message: `is that of no model provider of this tenant, so nothing counts: ${others}` }];
}

/** Problems between the documents of the apply and those that the tenant has after it, also of stored ones that a given connector no longer serves. */
export async function unserved(document: Document, after: readonly NamedDocument[], allowed: AllowedAddresses): Promise<DocumentProblem[]> {
  const find = lookupIn(after);
  const own = await connectorProblems(document, find, allowed);
  if (document.kind !== 'Connector') return own;
  const users = after.filter((row) => usesConnector(row.document, document, find));
  const broken = await Promise.all(
    users.map(async ({ kind, name, document: user }) =>
      (await connectorProblems(user, find, allowed)).map(({ path, message }) => ({
        path: ['spec'],
        message: `does not serve ${kind}/${name} any more: its ${path.join('.')} ${message}`,
      })),
    ),
  );
  return [...own, ...broken.flat()];
}

/** These documents, and those of a tenant that name one of them, directly or through others: what they say beside each other is not known yet. */
export function withThoseThatName(begin: readonly DocumentName[], after: readonly NamedDocument[]): DocumentName[] {
  const found = [...begin];
  for (let at = 0; at < found.length; at += 1) {
    const users = after.filter((row) => namesOf(row.document).some((named) => isSame(named, found[at]!)));
    found.push(...users.filter((user) => !found.some((one) => isSame(one, user))));
  }
  return found;
}

function namesOf(document: Document): DocumentName[] {
  const named = referencesOf(document).flatMap(({ kinds, name }) => kinds.map((kind) => ({ kind, name })));
  return document.kind === 'Connection' ? [...named, { kind: 'Connector', name: document.spec.connector }] : named;
}

function lookupIn(after: readonly NamedDocument[]): DocumentLookup {
  return (kind, name) => after.find((row) => isSame(row, { kind, name }))?.document;
}

/** A document that another one names stays. */
export function inUse({ kind, name }: DocumentName, others: readonly NamedDocument[]): string[] {
  /** True if a document of another of these kinds has taken over the name. */
  const isOtherwiseMet = (kinds: readonly DocumentKind[]): boolean =>
    others.some((other) => other.kind !== kind && kinds.includes(other.kind) && other.name === name);
  const users = others.filter((other) =>
    kind === 'Tenant'
      ? other.kind !== 'Tenant'
      : referencesOf(other.document).some(({ kinds, name: named }) => kinds.includes(kind) && named === name && !isOtherwiseMet(kinds)) ||
        (kind === 'Connector' && other.document.kind === 'Connection' && other.document.spec.connector === name),
  );
  return users.length === 0 ? [] : [`is used by ${users.map((user) => `${user.kind}/${user.name}`).join(', ')}`];
}

/** The keys of a tenant that is gone would still read everything that it left. */
export function keysInForce(keys: readonly StoredApiKey[], nowMs: number): Violation[] {
  const inForce = keys.filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt.getTime() > nowMs));
  if (inForce.length === 0) return [];
  const users =
    inForce.length === 1 ? 'an API key that is in force; revoke it' : `${inForce.length} API keys that are in force; revoke them`;
  return [{ path: ['name'], message: `is used by ${users} first` }];
}
