import { Injectable } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import type { Principal } from '#libs/auth';
import { tenantOf } from '#libs/contracts';
import type { Document, DocumentKind, Secret } from '#libs/contracts';
import { DocumentTable, TenantDatabase } from '#libs/persistence';
import type { Session, Stored } from '#libs/persistence';
import { AuditTable } from '../audit/audit.table.js';
import type { ApplyDocumentsInput, DocumentChange, RemoveDocumentInput, Violation } from '../generated/schema.js';
import { InputInvalid, Unknown } from '../graphql/user-errors.js';
import { differencesOf } from './document.difference.js';
import { readDocument, references, uncompilable } from './document.problems.js';
import type { Problem } from './document.problems.js';
import { mapSecrets } from './document.secrets.js';

/** A document as it is stored: its secrets are encrypted. */
export type DocumentRow = Stored<Document>;

const maxDocuments = 200;

export class DocumentUnknown extends Unknown {
  readonly code = 'request.notFound';

  constructor({ kind, name }: RemoveDocumentInput) {
    super('input.name', [`${kind}/${name}`], `There is no ${kind} named ${name}`);
  }
}

/** One document of an apply, with its secrets in the clear for the checks. */
interface Given {
  document: Document;
  at: number;
}

@Injectable()
export class DocumentService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly table: DocumentTable,
    private readonly secrets: SecretBox,
    private readonly audit: AuditTable,
  ) {}

  async list(tenant: string, kind?: DocumentKind | null): Promise<DocumentRow[]> {
    return this.database.asTenant(tenant, (session) => this.table.current(session, tenant, kind ?? undefined));
  }

  /** All documents or none. A dry run does all of it but the writing. */
  async apply(principal: Principal, { documents, dryRun }: ApplyDocumentsInput): Promise<DocumentChange[]> {
    if (documents.length === 0 || documents.length > maxDocuments) {
      throw new InputInvalid([{ path: ['input', 'documents'], message: `must have 1 to ${maxDocuments} entries` }]);
    }
    const given = this.read(principal, documents);
    return this.database.asTenant(principal.tenant, async (session) => {
      const stored = await this.table.current(session, principal.tenant);
      refuse(given.flatMap(({ document, at }) => missing(document, given, stored).map((problem) => violation(at, problem))));
      const planned = given.map(({ document }) => this.plan(document, stored));
      if (dryRun) return planned.map(({ change }) => change);
      return this.save(session, principal, planned);
    });
  }

  async remove(principal: Principal, input: RemoveDocumentInput): Promise<DocumentChange> {
    const { tenant, actor } = principal;
    return this.database.asTenant(tenant, async (session) => {
      const stored = await this.table.current(session, tenant);
      const found = stored.find(({ kind, name }) => kind === input.kind && name === input.name);
      if (found === undefined) throw new DocumentUnknown(input);
      refuse(inUse(found, stored));
      const { version } = await this.table.remove(session, { tenant, kind: input.kind, name: input.name, actor });
      await this.audit.recordIn(session, principal, [
        { action: 'removeDocument', target: `${input.kind}/${input.name}`, detail: { version } },
      ]);
      return { kind: input.kind, name: input.name, change: 'removed', version, differences: differencesOf(found.document, null) };
    });
  }

  private read(principal: Principal, inputs: readonly unknown[]): Given[] {
    const violations: Violation[] = [];
    const given: Given[] = [];
    for (const [at, input] of inputs.entries()) {
      const read = readDocument(input);
      const problems = 'problems' in read ? read.problems : this.accept(principal, read.document, at, given);
      violations.push(...problems.map((problem) => violation(at, problem)));
    }
    refuse(violations);
    return given;
  }

  /** Adds the document to `given`, and says what is wrong with it. */
  private accept(principal: Principal, document: Document, at: number, given: Given[]): Problem[] {
    const problems: Problem[] = [...misplaced(principal, document), ...repeated(document, given)];
    const opened = mapSecrets(document, (secret, path) => this.opened(secret, path, problems)) as Document;
    given.push({ document: opened, at });
    return problems.length > 0 ? problems : uncompilable(opened);
  }

  private opened(secret: Secret, path: string[], problems: Problem[]): Secret {
    if ('value' in secret) return secret;
    try {
      return { value: this.secrets.open(secret.sealed) };
    } catch {
      problems.push({ path, message: 'was not encrypted by this installation; write { value: … }' });
      return secret;
    }
  }

  /** A secret that is the stored one keeps its stored form, so an apply of the same file changes nothing. */
  private plan(document: Document, stored: readonly DocumentRow[]): { sealed: Document; change: DocumentChange } {
    const { kind } = document;
    const { name } = document.metadata;
    const before = stored.find((one) => one.kind === kind && one.name === name);
    const known = new Map<string, Secret>();
    if (before !== undefined) mapSecrets(before.document, (secret) => 'fingerprint' in secret && known.set(secret.fingerprint, secret));
    const sealed = mapSecrets(document, (secret) => {
      if (!('value' in secret)) return secret;
      const fresh = this.secrets.seal(secret.value);
      return known.get(fresh.fingerprint) ?? fresh;
    }) as Document;
    const differences = differencesOf(before?.document ?? null, sealed);
    const change = before === undefined ? 'created' : differences.length > 0 ? 'changed' : 'unchanged';
    const version = (before?.version ?? 0) + (change === 'unchanged' ? 0 : 1);
    return { sealed, change: { kind, name, change, version, differences } };
  }

  private async save(
    session: Session,
    principal: Principal,
    planned: { sealed: Document; change: DocumentChange }[],
  ): Promise<DocumentChange[]> {
    const changes: DocumentChange[] = [];
    for (const { sealed, change } of planned) {
      const { version } =
        change.change === 'unchanged' ? change : await this.table.save(session, { document: sealed, actor: principal.actor });
      changes.push({ ...change, version });
    }
    const changed = changes.filter(({ change }) => change !== 'unchanged');
    await this.audit.recordIn(
      session,
      principal,
      changed.map(({ kind, name, version }) => ({ action: 'applyDocuments', target: `${kind}/${name}`, detail: { version } })),
    );
    return changes;
  }
}

function violation(at: number, { path, message }: Problem): Violation {
  return { path: ['input', 'documents', String(at), ...path], message };
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length > 0) throw new InputInvalid(violations, 'document.invalid');
}

function misplaced({ tenant, actor }: Principal, document: Document): Problem[] {
  const owner = tenantOf(document);
  if (owner !== tenant) {
    const path = document.kind === 'Tenant' ? ['metadata', 'name'] : ['metadata', 'tenant'];
    return [{ path, message: `is ${owner}, and this key acts in ${tenant}` }];
  }
  return document.kind === 'Tenant' && actor !== 'operator' ? [{ path: ['kind'], message: 'Tenant is for the operator’s key' }] : [];
}

function repeated(document: Document, given: readonly Given[]): Problem[] {
  const first = given.find((other) => other.document.kind === document.kind && other.document.metadata.name === document.metadata.name);
  return first === undefined
    ? []
    : [{ path: ['metadata', 'name'], message: `is given twice for a ${document.kind}: ${document.metadata.name}` }];
}

/** What the document names and neither the apply nor the tenant has. */
function missing(document: Document, given: readonly Given[], stored: readonly DocumentRow[]): Problem[] {
  const exists = (kind: DocumentKind, name: string): boolean =>
    stored.some((one) => one.kind === kind && one.name === name) ||
    given.some((one) => one.document.kind === kind && one.document.metadata.name === name);
  const tenant = tenantOf(document);
  if (!exists('Tenant', tenant))
    return [{ path: ['metadata', 'tenant'], message: `names no tenant: ${tenant}; apply its Tenant document first, or with this one` }];
  return references(document)
    .filter(({ kind, name }) => !exists(kind, name))
    .map(({ kind, name, path }) => ({ path, message: `names no ${kind.toLowerCase()} of this tenant: ${name}` }));
}

/** A document that another one names stays. */
function inUse({ kind, name }: DocumentRow, stored: readonly DocumentRow[]): Violation[] {
  const users = stored.filter((other) =>
    kind === 'Tenant'
      ? other.kind !== 'Tenant'
      : references(other.document).some((reference) => reference.kind === kind && reference.name === name),
  );
  if (users.length === 0) return [];
  const names = users.map((user) => `${user.kind}/${user.name}`).join(', ');
  return [{ path: ['input', 'name'], message: `is used by ${names}` }];
}
