import { counted } from './counted.js';
import { mostDocumentsAtOnce, referencesOf, resolvedService, tenantOf } from '#libs/contracts';
import type { Document, DocumentLookup } from '#libs/contracts';
import {
  FlowCalls,
  connectorProblems,
  documentIdOf,
  doubtsAbout,
  modelChosenAddresses,
  readDocument,
  repeatedDocument,
  uncompilable,
  uncompilableParts,
} from '#libs/documents';
import type { DocumentProblem, ModelList } from '#libs/documents';
import { readFiles } from './document.files.js';
import type { FileDocument } from './document.files.js';
import { CliFailure } from './failure.js';
import type { ProviderLists } from './models.command.js';
import type { Output } from './output.js';

/** One thing that is wrong with a document of a file. */
interface FileProblem {
  /** `file:line:column` */
  at: string;
  field: string;
  message: string;
}

/**
 * `millrace validate`: checks documents without a server, as far as they alone can say. A name of something that the files do not have is only noted:
 * the tenant may have it.
 * @param lists what the model providers list; none if nobody was asked. A provider of the files lists what its applied document does, and what it names
 * @throws CliFailure if there is a problem
 */
export async function validate(paths: readonly string[], lists: ProviderLists, output: Output): Promise<void> {
  const { documents, unreadable } = readFiles(paths);
  const ids = documents.map(({ value }) => documentIdOf(value));
  const problems: FileProblem[] = unreadable.map((problem) => ({ ...problem, field: '' }));
  const readable: { file: FileDocument; document: Document }[] = [];
  for (const [at, file] of documents.entries()) {
    problems.push(...repeatedDocument(ids, at).map(({ path, message }) => problemAt(file, path, message)));
    const found = await problemsIn(file.value);
    const told = found.problems.filter(({ path }) => !followsFromUnread(path, file));
    problems.push(...told.map(({ path, message }) => problemAt(file, path, message)));
    if (found.document === undefined) continue;
    readable.push({ file, document: found.document });
  }
  const given = readable.map(({ document }) => document);
  for (const { file, document } of readable) noteDoubts(document, file, { ids, modelLists: listsFor(document, lists, given) }, output);
  for (const { file, document } of readable) {
    const sameTenant = readable.filter((one) => tenantOf(one.document) === tenantOf(document)).map((one) => one.document);
    for (const { path, message } of modelChosenAddresses(document, lookupIn(sameTenant)))
      output.note(`warning: ${file.positionOf(path)} ${path.join('.')}: ${message}`);
    problems.push(...new FlowCalls(sameTenant).problemsOf(document).map(({ path, message }) => problemAt(file, path, message)));
  }
  for (const problem of problems) {
    const { at, field, message } = problem;
    output.result(problem, field === '' ? `${at} ${message}` : `${at} ${field}: ${message}`);
  }
  if (documents.length > mostDocumentsAtOnce)
    output.note(`One apply changes at most ${mostDocumentsAtOnce} documents: apply parts of these files one after the other.`);
  const checked = counted(documents.length, 'document');
  if (problems.length === 0) return output.note(`${checked} checked.`);
  throw new CliFailure(`${counted(problems.length, 'problem')} in ${checked}.`, 'refused');
}

/** The other things that a document is checked against. */
interface Surroundings {
  /** The ids of all documents of the files. */
  readonly ids: readonly (string | undefined)[];
  readonly modelLists: readonly ModelList[];
}

/** The document, and all that is wrong with it as far as it alone can say. */
export async function problemsIn(value: unknown): Promise<{ document?: Document; problems: DocumentProblem[] }> {
  const read = readDocument(value);
  if ('problems' in read) return { problems: [...read.problems, ...(await uncompilableParts(value))] };
  const { document } = read;
  // The operator of the installation decides which other addresses are allowed, and the files do not say which.
  const connector = document.kind === 'Connector' ? await connectorProblems(document, () => undefined, { isAllowed: () => true }) : [];
  return { document, problems: [...(await uncompilable(document)), ...connector] };
}

/** True for what only follows from a file that cannot be read: `document` is missing, and `documentFile` still stands there. */
function followsFromUnread(path: readonly string[], { unread = [] }: FileDocument): boolean {
  return unread.some(
    (field) =>
      path.length === field.length && field.slice(0, -1).every((part, at) => part === path[at]) && path.at(-1)!.startsWith('document'),
  );
}

/** The lists that hold for a document beside those of the files. A provider that the files move to another address may have any model. */
function listsFor(document: Document, { installation, tenant, ofTenant }: ProviderLists, given: readonly Document[]): ModelList[] {
  if (tenantOf(document) !== tenant) return [...installation];
  const providers = given.filter((one) => one.kind === 'ModelProvider').filter((one) => tenantOf(one) === tenant);
  const own = ofTenant.flatMap(({ baseUrl, ...list }) => {
    const spec = providers.find(({ metadata }) => metadata.name === list.provider)?.spec;
    if (spec === undefined) return [list];
    return resolvedService(spec).baseUrl === baseUrl ? [{ ...list, models: [...(list.models ?? []), ...Object.keys(spec.models)] }] : [];
  });
  return [...installation, ...own];
}

function noteDoubts(document: Document, file: FileDocument, { ids, modelLists }: Surroundings, output: Output): void {
  if (document.kind !== 'Tenant') {
    const { tenant } = document.metadata;
    for (const { kinds, name, path } of referencesOf(document)) {
      if (kinds.some((kind) => ids.includes(`${tenant}/${kind}/${name}`))) continue;
      output.note(
        `${file.positionOf(path)} ${path.join('.')}: names ${kinds.map((kind) => `${kind}/${name}`).join(' or ')}, which is not in the files; apply looks for it in the tenant`,
      );
    }
  }
  for (const { path, message } of doubtsAbout(document, modelLists))
    output.note(`warning: ${file.positionOf(path)} ${path.join('.')}: ${message}`);
}

/** Finds a document among these. */
export function lookupIn(documents: readonly Document[]): DocumentLookup {
  return (kind, name) => documents.find((one) => one.kind === kind && one.metadata.name === name);
}

function problemAt(file: FileDocument, path: readonly string[], message: string): FileProblem {
  return { at: file.positionOf(path), field: path.join('.'), message };
}
