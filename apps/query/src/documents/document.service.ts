import { Injectable } from '@nestjs/common';
import { SecretUnbound, requireScope } from '#libs/auth';
import type { Principal } from '#libs/auth';
import { NotFound, canHoldSecrets, document as documentSchema, documentKinds, referencesWithin } from '#libs/contracts';
import type { BudgetSpec, Document, DocumentKind, Reference } from '#libs/contracts';
import {
  FlowCalls,
  documentIdOf,
  doubtsAbout,
  readAs,
  readDocument,
  repeatedDocument,
  uncompilable,
  uncompilableParts,
  unknownReferences,
} from '#libs/documents';
import type { DocumentProblem, AllowedAddresses } from '#libs/documents';
import { HttpClient } from '#libs/http';
import { ApiKeyTable, DocumentSecrets, DocumentTable, DocumentVersionMismatch, TenantDatabase } from '#libs/persistence';
import type { Session, StoredVersion } from '#libs/persistence';
import { nextFires } from '#libs/schedules';
import { wallTimeMs } from '#libs/time';
import { AuditTable } from '../audit/audit.table.js';
import { ModelProviderTable } from '../model-providers/model-provider.table.js';
import { ModelTable } from '../model-providers/model.table.js';
import { ModelSpendTable } from '../spending/model-spend.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import type { Violation } from '../operations/input.errors.js';
import { applyDocuments, removeDocument } from './document.operations.js';
import type {
  ApplyDocumentsInput,
  DocumentChange,
  DocumentName,
  DocumentWarning,
  ExpectedVersion,
  FieldDifference,
  RemoveDocumentInput,
} from './document.operations.js';
import { differencesOf } from './document.difference.js';
import {
  ambiguous,
  doubtsAmong,
  inUse,
  irremovable,
  isSame,
  keysInForce,
  misdirected,
  misplaced,
  missing,
  nameOf,
  rowsAfter,
  unremovable,
  unserved,
  withThoseThatName,
} from './document.rules.js';
import type { NamedDocument } from './document.rules.js';
import { StoredSecrets } from '../stored-secrets/stored-secrets.js';
import type { StoredSecretReading } from '../stored-secrets/stored-secrets.js';
import { RequestAbandoned } from '../operations/request.errors.js';
import { Turns } from './turns.js';
import { UnendedRunTable } from './unended-run.table.js';

/** A document as it is stored: its secrets are encrypted. */
export type DocumentRow = StoredVersion;

@Injectable()
export class DocumentService {
  /** Reading one document can take 100 ms, for its schemas are compiled. All applies of the process share the turns. */
  private readonly turns = new Turns();
  private readonly allowed: AllowedAddresses;

  constructor(
    private readonly database: TenantDatabase,
    private readonly table: DocumentTable,
    private readonly apiKeys: ApiKeyTable,
    private readonly secrets: DocumentSecrets,
    private readonly audit: AuditTable,
    private readonly modelProviders: ModelProviderTable,
    private readonly models: ModelTable,
    private readonly storedSecrets: StoredSecrets,
    private readonly spending: ModelSpendTable,
    private readonly unendedRuns: UnendedRunTable,
    http: HttpClient,
  ) {
    this.allowed = { isAllowed: (url) => http.isAllowed(url) };
  }

  /**
   * The current documents that the principal may read: for an admin all, for others those of kinds that can hold no secret.
   * @throws ScopeMissing if the principal is no admin and names a kind that can hold secrets
   */
  async list(principal: Principal, kind?: DocumentKind | null): Promise<DocumentRow[]> {
    const { tenant } = principal;
    if (kind != null && canHoldSecrets(kind)) requireScope(principal, 'admin');
    const rows = await this.database.asTenant(tenant, (session) => this.table.current(session, tenant, kind ?? undefined));
    const readable = principal.scopes.includes('admin') ? rows : rows.filter((row) => !canHoldSecrets(row.kind));
    return readable.map((row) => ({ ...row, document: this.secrets.resealed(row.document) }));
  }

  /**
   * All documents and removals, or none. A dry run does all of it and rolls back.
   * @param isAbandoned asked while nothing is changed yet; true ends the work
   * @throws RequestAbandoned
   */
  async apply(
    principal: Principal,
    input: ApplyDocumentsInput,
    isAbandoned: () => boolean,
  ): Promise<{ changes: DocumentChange[]; warnings: DocumentWarning[] }> {
    const read = await this.read(principal, input.documents, isAbandoned);
    const doubts: DocumentWarning[] = [];
    const changes = await this.saveAll(principal, read, input, doubts);
    return { changes, warnings: [...read.warnings, ...doubts] };
  }

  /**
   * A document as apply would store it, and checked as apply checks it, beside the documents that are current. Nothing is stored.
   * @throws InputInvalid with paths that begin with `documents.0`; RequestAbandoned
   */
  async checked(principal: Principal, given: unknown, isAbandoned: () => boolean): Promise<Document> {
    const read = await this.read(principal, [given], isAbandoned);
    await this.saveAll(principal, read, { documents: [], dryRun: true }, []);
    return read.placed[0]!.document;
  }

  /**
   * Tells of everything that is wrong with the documents, each and beside the others, before it saves any.
   * @param doubts gets the doubts about documents as they are beside each other
   */
  private async saveAll(
    principal: Principal,
    read: ReadDocuments,
    input: ApplyDocumentsInput,
    doubts: DocumentWarning[],
  ): Promise<DocumentChange[]> {
    const given = read.placed.map(({ document }) => document);
    const expected = input.expectedVersions ?? [];
    const remove = input.remove ?? [];
    const unread = read.unread.flatMap((one) => one.names);
    const names = [...given.map(nameOf), ...unread];
    const violations = [
      ...read.violations,
      ...remove.flatMap((named, at) => irremovable(named, at, remove, names)),
      ...expected.flatMap((each, at) => misdirected(each, at, expected, [...names, ...remove])),
    ];
    try {
      return await this.database.asTenant(principal.tenant, async (session) => {
        await this.table.lock(session, principal.tenant);
        const stored = await this.table.current(session, principal.tenant);
        if (violations.length === 0) refuseVersions(expected, stored);
        const removed = remove.filter((_, at) => !isAmong(violations, 'remove', at));
        const kept = stored.filter((row) => ![...removed, ...unread].some((named) => isSame(named, row)));
        const after = rowsAfter(kept, given);
        refuse(byDocument([...violations, ...(await this.violationsAmong({ ...read, violations }, { after, stored, remove }))]));
        doubts.push(
          ...read.placed.flatMap(({ at, document }) => doubtsAmong(document, after, this.allowed).map((doubt) => violation(at, doubt))),
        );
        const needed = await this.unendedRuns.needing(session, principal.tenant, remove);
        doubts.push(...needed.flatMap((message, at) => (message === undefined ? [] : [{ path: ['remove', String(at), 'name'], message }])));
        const saved = await this.save(session, principal, given, { stored, expected });
        const changes = [...saved, ...(await this.removeAll(session, principal, remove, { stored, expected }))];
        if (input.dryRun) throw new DryRunRollback(changes);
        return changes;
      });
    } catch (error) {
      if (error instanceof DryRunRollback) return error.changes;
      if (error instanceof DocumentVersionMismatch) throw changedMeanwhile(error, expected);
      throw error;
    }
  }

  /** Finds what is wrong with documents beside each other, and with removals. Nothing is said of what depends on a document that is wrong by itself. */
  private async violationsAmong(
    { placed, unread, violations }: ReadDocuments,
    { after, stored, remove }: { after: readonly NamedDocument[]; stored: readonly DocumentRow[]; remove: readonly DocumentName[] },
  ): Promise<Violation[]> {
    const unreadNames = unread.flatMap(({ names }) => names);
    const known = [...after, ...unreadNames];
    const calls = new FlowCalls(after.map(({ document }) => document));
    const found = placed.map(({ at, document }) =>
      [...missing(document, known), ...ambiguous(document, after), ...calls.problemsOf(document)].map((problem) => violation(at, problem)),
    );
    const wrong = placed
      .filter(({ at }, place) => found[place]!.length > 0 || isAmong(violations, 'documents', at))
      .map(({ document }) => nameOf(document));
    const undecided = withThoseThatName([...unreadNames, ...wrong], after);
    const decided = placed.filter(({ document }) => !undecided.some((one) => isSame(one, nameOf(document))));
    const unfit = await Promise.all(
      decided.map(async ({ at, document }) => (await unserved(document, after, this.allowed)).map((problem) => violation(at, problem))),
    );
    const unknown = unread.flatMap(({ at, references }) => unknownReferences(references, known).map((problem) => violation(at, problem)));
    return [
      ...found.flat(),
      ...unknown,
      ...unfit.flat(),
      ...remove.flatMap((named, at) => (isAmong(violations, 'remove', at) ? [] : unremovable(named, at, stored, after))),
    ];
  }

  async remove(principal: Principal, input: RemoveDocumentInput): Promise<{ change: DocumentChange; warnings: DocumentWarning[] }> {
    const { tenant } = principal;
    return this.database.asTenant(tenant, async (session) => {
      await this.table.lock(session, tenant);
      const stored = await this.table.current(session, tenant);
      const found = stored.find((row) => isSame(input, row));
      if (found === undefined)
        throw new NotFound('document', `${input.kind}/${input.name}`, {
          field: 'name',
          message: `There is no ${input.kind} named ${input.name}`,
        });
      refuse(inUse(found, stored).map((message) => ({ path: ['name'], message })));
      if (input.kind === 'Tenant') refuse(keysInForce(await this.apiKeys.list(session, tenant), wallTimeMs()));
      const [needed] = await this.unendedRuns.needing(session, tenant, [found]);
      const change = await this.removeRow(session, principal, found, {
        operation: removeDocument,
        expectedVersion: input.expectedVersion,
      }).catch((error: unknown) => {
        throw error instanceof DocumentVersionMismatch ? versionsRefused([{ path: ['expectedVersion'], message: error.message }]) : error;
      });
      return { change, warnings: needed === undefined ? [] : [{ path: ['name'], message: needed }] };
    });
  }

  private async removeAll(
    session: Session,
    principal: Principal,
    names: readonly DocumentName[],
    { stored, expected }: { stored: readonly DocumentRow[]; expected: readonly ExpectedVersion[] },
  ): Promise<DocumentChange[]> {
    const changes: DocumentChange[] = [];
    for (const named of names) {
      const row = stored.find((one) => isSame(named, one))!;
      const expectedVersion = expected.find((each) => isSame(each, named))?.version;
      changes.push(await this.removeRow(session, principal, row, { operation: applyDocuments, expectedVersion }));
    }
    return changes;
  }

  private async removeRow(
    session: Session,
    principal: Principal,
    { tenant, kind, name, document }: DocumentRow,
    {
      operation,
      expectedVersion,
    }: { operation: typeof applyDocuments | typeof removeDocument; expectedVersion: number | null | undefined },
  ): Promise<DocumentChange> {
    const { actor } = principal;
    const { version } = await this.table.remove(session, {
      tenant,
      kind,
      name,
      actor,
      expectedVersion: expectedVersion ?? undefined,
    });
    await this.audit.recordIn(session, principal, [{ operation, target: `${kind}/${name}`, detail: { version, change: 'removed' } }]);
    return {
      kind,
      name,
      change: 'removed',
      version,
      nextFires: null,
      differences: differencesOf(this.secrets.fingerprinted(document), undefined),
    };
  }

  /** The documents with their secrets in the clear, and everything that is wrong with each by itself. Each takes its turn. */
  private async read(principal: Principal, inputs: readonly unknown[], isAbandoned: () => boolean): Promise<ReadDocuments> {
    const all: ReadDocuments = { placed: [], unread: [], violations: [], warnings: [] };
    const ids = inputs.map(documentIdOf);
    const modelLists = [...(await this.modelProviders.list(principal.tenant)), ...(await this.models.lists(principal.tenant, inputs))];
    const reading = this.storedSecrets.reading(principal.tenant);
    for (const [at, input] of inputs.entries()) {
      const given = await this.turns.take(principal.tenant, () => accept(principal, input));
      const { problems, document } = 'document' in given ? await this.opened(given.document, reading) : { ...given, document: undefined };
      const parts =
        document === undefined
          ? await uncompilableParts(input, { atMost: mostPartsChecked, owner: principal.tenant })
          : await uncompilable(document);
      all.violations.push(...[...problems, ...parts, ...repeatedDocument(ids, at)].map((problem) => violation(at, problem)));
      if (document === undefined) all.unread.push({ at, ...saidBy(principal.tenant, input) });
      else {
        all.placed.push({ at, document });
        const doubts = problems.length > 0 ? [] : [...doubtsAbout(document, modelLists), ...(await this.spentAlready(document))];
        all.warnings.push(...doubts.map((doubt) => violation(at, doubt)));
      }
      if (isAbandoned()) throw new RequestAbandoned();
    }
    return all;
  }

  /** A budget that is below what its period has had already. */
  private async spentAlready(document: Document): Promise<DocumentProblem[]> {
    if (document.kind !== 'Budget') return [];
    const { state, spent, tokensSpent, until, whenSpent } = await this.spending.budget(document);
    if (state !== 'spent') return [];
    const [field, used] = spent === null ? ['tokens', `${tokensSpent} tokens`] : ['amount', `${spent.amount} ${spent.currency}`];
    return [
      {
        path: ['spec', field],
        message: `is spent already: its period has had ${used}, so until ${until.toISOString()} ${effects[whenSpent]}`,
      },
    ];
  }

  /** The document with its secrets in the clear, as far as nothing is wrong with them. @throws SecretStoreUnavailable */
  private async opened(
    given: Document,
    reading: StoredSecretReading,
  ): Promise<{ problems: readonly DocumentProblem[]; document: Document }> {
    const { document, problems } = await reading.filled(given);
    if (problems.length > 0) return { problems, document: given };
    const read = document === given ? undefined : readAs(documentSchema, document); // secrets of the store have not been looked at yet
    if (read !== undefined && 'problems' in read) return { problems: read.problems, document: given };
    const unreadable: DocumentProblem[] = [];
    const opened = this.secrets.openedAsGiven(document, (path, error) => unreadable.push({ path, message: refusalOf(error) }));
    return { problems: unreadable, document: opened };
  }

  private async save(
    session: Session,
    principal: Principal,
    given: readonly Document[],
    { stored, expected }: { stored: readonly DocumentRow[]; expected: readonly ExpectedVersion[] },
  ): Promise<DocumentChange[]> {
    const changes: DocumentChange[] = [];
    for (const document of given) {
      const { kind } = document;
      const { name } = document.metadata;
      const before = stored.find((one) => isSame(one, { kind, name }))?.document;
      const { version, change } = await this.table.save(session, {
        document,
        actor: principal.actor,
        expectedVersion: expected.find((each) => isSame(each, { kind, name }))?.version,
      });
      changes.push({ kind, name, change, version, nextFires: nextFiresOf(document), differences: this.differences(before, document) });
    }
    const changed = changes.filter(({ change }) => change !== 'unchanged');
    await this.audit.recordIn(
      session,
      principal,
      changed.map(({ kind, name, version }) => ({ operation: applyDocuments, target: `${kind}/${name}`, detail: { version } })),
    );
    return changes;
  }

  private differences(before: Document | undefined, after: Document): FieldDifference[] {
    return differencesOf(before && this.secrets.fingerprinted(before), this.secrets.fingerprinted(after));
  }
}

/** The documents of one request. */
interface ReadDocuments {
  /** The documents that fit their schema and stand where they may, by their place in the request. */
  readonly placed: { readonly at: number; readonly document: Document }[];
  /** The other documents, as far as they have names. */
  readonly unread: { readonly at: number; readonly names: readonly DocumentName[]; readonly references: readonly Reference[] }[];
  readonly violations: Violation[];
  readonly warnings: DocumentWarning[];
}

/** The most expressions and schemas that are looked at in a document that does not fit its schema: its size is not bounded by that then. */
const mostPartsChecked = 200;

/** The document, or what is wrong with its form or its place. */
function accept(principal: Principal, input: unknown): { document: Document } | { problems: readonly DocumentProblem[] } {
  const read = readDocument(input);
  if ('problems' in read) return read;
  const problems = misplaced(principal, read.document);
  return problems.length > 0 ? { problems } : read;
}

/** The name that others would name the document by, although it cannot be read, and what it names itself. Nothing if it is another tenant's. */
function saidBy(owner: string, input: unknown): Pick<ReadDocuments['unread'][number], 'names' | 'references'> {
  const [tenant, kind, name] = documentIdOf(input)?.split('/') ?? [];
  if (tenant !== owner || name === undefined || !isDocumentKind(kind)) return { names: [], references: [] };
  return { names: [{ kind, name }], references: referencesWithin(input).slice(0, mostPartsChecked) };
}

function isDocumentKind(kind: unknown): kind is DocumentKind {
  return documentKinds.some((one) => one === kind);
}

function nextFiresOf(document: Document): Date[] | null {
  return document.kind === 'Schedule' ? nextFires(document.spec, wallTimeMs()) : null;
}

function refusalOf(error: Error): string {
  return error instanceof SecretUnbound
    ? 'is encrypted in the form of an earlier release; get the document again, or write { value: … }'
    : 'was not encrypted by this installation for this field of this document; write { value: … }';
}

/** Ends a dry run's transaction without an effect. */
class DryRunRollback extends Error {
  constructor(readonly changes: DocumentChange[]) {
    super('The transaction of a dry run is rolled back');
  }
}

const effects = {
  warn: 'calls are made all the same',
  degrade: 'only models that it does not count are asked',
  stop: 'runs that ask models wait',
} as const satisfies Record<BudgetSpec['whenSpent'], string>;

function violation(at: number, { path, message }: DocumentProblem): Violation {
  return { path: ['documents', String(at), ...path], message };
}

/** True if something is wrong with the entry at this place of a list of the request. */
function isAmong(violations: readonly Violation[], list: string, at: number): boolean {
  return violations.some(({ path }) => path[0] === list && path[1] === String(at));
}

/** In the order of the documents of the request; what concerns none of them comes last. */
function byDocument(violations: readonly Violation[]): Violation[] {
  const placeOf = ({ path: [list, at] }: Violation): number => (list === 'documents' ? Number(at) : Infinity);
  return [...Map.groupBy(violations, placeOf)].toSorted(([one], [other]) => one - other).flatMap(([, group]) => group);
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length > 0) throw new InputInvalid(violations, 'document.invalid');
}

function versionsRefused(violations: readonly Violation[]): InputInvalid {
  return new InputInvalid(violations, 'document.versionMismatch');
}

/** Looks at all of them before anything is saved, so that a caller is told of every document that changed. */
function refuseVersions(expected: readonly ExpectedVersion[], stored: readonly DocumentRow[]): void {
  const violations = expected.flatMap(({ kind, name, version }, at) => {
    const current = stored.find((one) => isSame(one, { kind, name }))?.version ?? 0;
    const { message } = new DocumentVersionMismatch({ kind, name }, version, current);
    return version === current ? [] : [{ path: ['expectedVersions', String(at), 'version'], message }];
  });
  if (violations.length > 0) throw versionsRefused(violations);
}

/** A document that another request changed while this one was under way. */
function changedMeanwhile({ reference, message }: DocumentVersionMismatch, expected: readonly ExpectedVersion[]): InputInvalid {
  const at = expected.findIndex(({ kind, name }) => kind === reference.kind && name === reference.name);
  return versionsRefused([{ path: ['expectedVersions', String(at), 'version'], message }]);
}
