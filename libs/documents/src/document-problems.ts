import type { z } from 'zod';
import { compileExpression } from '#libs/expressions';
import { Timing, timingProblem } from '#libs/schedules';
import { didYouMean, requireCompilable, similarName, unknownKeywords } from '#libs/schemas';
import { wallTimeMs } from '#libs/time';
import type { DocumentProblem } from './document-problem.js';
import { fieldsAt } from './schema-fields.js';
import { ungroundableFields } from './grounded-fields.js';
import { unfitDefaults } from './review-defaults.js';
import { unknownNames } from './unknown-names.js';
import { unlistedModels } from './unlisted-models.js';
import { endedCertificates, unusableAssertionKeys, unusableCertificates } from './unusable-certificates.js';
import type { ModelList } from './unlisted-models.js';
import {
  ParameterMissing,
  PublicUrlMissing,
  SecretInvalid,
  createVerifier,
  presetOf,
  providers,
  requireStandardWebhookSecret,
} from '#libs/signatures';
import type { ProviderPreset } from '#libs/signatures';
import {
  DomainError,
  clearText,
  document as documentSchema,
  marksOf,
  marksWithin,
  modelServices,
  storedSecretsOf,
  tenantOf,
  wordsForIssue,
  wordsForTypes,
} from '#libs/contracts';
import type {
  ConnectionDocument,
  DestinationDocument,
  Document,
  DocumentKind,
  MarkedValue,
  ModelService,
  PullSpec,
  Secret,
  Reference,
  SourceDocument,
  UnknownName,
} from '#libs/contracts';

/** The most problems of one document that are told. */
const maxProblems = 100;

/** The document, with its defaults; or everything in it that does not fit its schema, up to 100 problems. */
export function readDocument(input: unknown): { document: Document } | { problems: DocumentProblem[] } {
  const read = readAs(documentSchema, input);
  if ('problems' in read) return read;
  const problems = storedSecretsOf(read.value).flatMap(({ secret, path }) =>
    'value' in secret ? [{ path: [...path, 'value'], message: 'must not stand beside `from`: leave out one of them' }] : [],
  );
  return problems.length > 0 ? { problems } : { document: read.value };
}

/** A value that fits the schema, with its defaults; or what does not fit, in the words of {@link readDocument}. */
export function readAs<T>(schema: z.ZodType<T>, input: unknown): { value: T } | { problems: DocumentProblem[] } {
  const { data, error } = schema.safeParse(input, { error: wordsForIssue });
  if (error === undefined) return { value: data };
  const problems = error.issues
    .filter((issue, at, all) => !isWider(issue, all[at - 1]) && !isWider(issue, all[at + 1]))
    .flatMap(problemsOf)
    .map((problem) => (problem.message === unknownField ? withSimilarField(problem, schema, input) : withSimilarValue(problem, input)));
  const more = problems.length - maxProblems;
  return { problems: more <= 0 ? problems : [...problems.slice(0, maxProblems), { path: [], message: `has ${more} more problems` }] };
}

/** True if the neighbouring issue is of the same number and a narrower bound: 1e99 is also beyond the whole numbers that a double keeps. */
function isWider(issue: z.core.$ZodIssue, neighbour: z.core.$ZodIssue | undefined): boolean {
  if (neighbour === undefined || neighbour.path.join('.') !== issue.path.join('.')) return false;
  if (issue.code === 'too_big') return neighbour.code === 'too_big' && neighbour.maximum < issue.maximum;
  return issue.code === 'too_small' && neighbour.code === 'too_small' && neighbour.minimum > issue.minimum;
}

const unknownField = 'is not a field that belongs here';

function withSimilarField({ path, message }: DocumentProblem, schema: z.ZodType, input: unknown): DocumentProblem {
  return { path, message: message + didYouMean(path.at(-1)!, fieldsAt(schema, input, path.slice(0, -1))) };
}

function withSimilarValue({ path, message, known }: FoundProblem, input: unknown): DocumentProblem {
  if (known === undefined || known.length < 2) return { path, message };
  const given = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], input);
  return { path, message: typeof given === 'string' ? message + didYouMean(given, known) : message };
}

/** A problem with the values that would have been right, where only a few are. */
interface FoundProblem extends DocumentProblem {
  readonly known?: readonly string[];
}

function problemsOf(issue: z.core.$ZodIssue): FoundProblem[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...path, key], message: unknownField }));
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => ({ path, message }));
  if (issue.code === 'invalid_union' && issue.errors.length > 0)
    return problemsOfUnion(issue).map((problem) => ({ ...problem, path: [...path, ...problem.path] }));
  if (issue.code === 'custom' && issue.params !== undefined) {
    const { given, known } = issue.params as UnknownName;
    return [{ path, message: issue.message + didYouMean(given, known) }];
  }
  const { options } = issue as { options?: unknown };
  const known = Array.isArray(options) ? options.filter((option) => option !== undefined).map(String) : undefined;
  if (known !== undefined) return [{ path, message: `must be one of ${known.join(', ')}`, known }];
  return [{ path, message: issue.message, ...(issue.code === 'invalid_value' && { known: issue.values.map(String) }) }];
}

/** The message of zod for a union that has none of its own. */
const noWords = 'Invalid input';

/** Tells what is wrong with the option that was most likely meant, or what all options are if the value is of another type than each of them. */
function problemsOfUnion({ errors, message }: z.core.$ZodIssueInvalidUnion): FoundProblem[] {
  const isNone = errors.every((issues) => issues.every(({ code, path }) => path.length === 0 && code !== 'unrecognized_keys'));
  if (isNone && message !== noWords) return [{ path: [], message }];
  const [closest] = errors.toSorted((a, b) => distanceOf(a) - distanceOf(b) || a.length - b.length || misspells(b) - misspells(a));
  const problems = errors.map((issues) => issues.flatMap(problemsOf));
  const messages = [...new Set(problems.flat().map((problem) => problem.message))];
  if (distanceOf(closest!) < 2 || !messages.every((one) => wordsForTypes.has(one))) return closest!.flatMap(problemsOf);
  return [{ path: [], message: `must be ${messages.map((one) => one.replace('must be ', '')).join(' or ')}` }];
}

/** 1 if a field of the option is missing, and one of a similar name stands there; else 0. */
function misspells(errors: readonly z.core.$ZodIssue[]): 0 | 1 {
  const missing = errors.filter(({ path }) => path.length === 1).map(({ path }) => String(path[0]));
  const unknown = errors.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys : []));
  return unknown.some((key) => similarName(key, missing) !== undefined) ? 1 : 0;
}

/** How far a value is from an option of a union: one of another type tells the author nothing, one of other values less than what is wrong within. */
function distanceOf(errors: readonly z.core.$ZodIssue[]): number {
  const whole = errors.filter(({ path }) => path.length === 0);
  if (whole.some(({ code }) => code === 'invalid_type')) return 2;
  if (whole.some((issue) => issue.code === 'invalid_union' && issue.errors.every((inner) => distanceOf(inner) === 2))) return 2;
  return whole.some(({ code }) => code === 'invalid_value') ? 1 : 0;
}

/** Problems that the schema does not find: expressions, JSON Schemas, fields and secrets that cannot be used, and names that do not exist. Secrets that are still sealed are not checked. */
export async function uncompilable(document: Document): Promise<DocumentProblem[]> {
  const problems: DocumentProblem[] = [];
  for (const marked of marksOf(document)) problems.push(...(await problemsOfMark(document, marked)));
  return [
    ...problems,
    ...(await unfitDefaults(document)),
    ...ungroundableFields(document),
    ...unusableSecrets(document),
    ...unusableTiming(document),
  ];
}

/**
 * Expressions and JSON Schemas that cannot be used, in a document that has other problems.
 * @param atMost how many are looked at; default: all, for authors who check their own files. @param owner the tenant; default: nobody
 */
export async function uncompilableParts(input: unknown, { atMost = Infinity, owner = '' } = {}): Promise<DocumentProblem[]> {
  const problems: DocumentProblem[] = [];
  const parts = marksWithin(input).filter(({ mark: { kind } }) => kind === 'expression' || kind === 'jsonSchema');
  for (const { mark, value, path } of parts.slice(0, atMost)) {
    if (mark.kind === 'expression' && typeof value === 'string') problems.push(...refusal(path, () => compileExpression(value)));
    if (mark.kind === 'jsonSchema' && typeof value === 'object' && value !== null && !Array.isArray(value))
      problems.push(...(await schemaProblems(value, path, owner)));
  }
  return problems;
}

async function problemsOfMark(document: Document, marked: MarkedValue): Promise<DocumentProblem[]> {
  const { mark, value, path } = marked;
  if (mark.kind === 'expression') {
    const invalid = refusal(path, () => compileExpression(value as string));
    return invalid.length > 0 ? invalid : unknownNames(document, marked);
  }
  return mark.kind === 'jsonSchema' ? schemaProblems(value as object, path, tenantOf(document)) : [];
}

async function schemaProblems(schema: object, path: string[], owner: string): Promise<DocumentProblem[]> {
  const misspelt = unknownKeywords(schema).flatMap(({ path: within, similar }) =>
    similar === undefined
      ? []
      : [{ path: [...path, ...within], message: `is no keyword of JSON Schema, so it checks nothing; did you mean ${similar}?` }],
  );
  const refused = await requireCompilable(schema, { owner }).then(
    () => [],
    (error: unknown) => refusalFor(path, error, 'is not a usable JSON Schema: '),
  );
  return [...misspelt, ...refused];
}

/**
 * Parts of a document that are allowed and do not do what they seem to. Secrets that are still sealed are not looked at.
 * @param modelLists what the model providers list; default: unknown
 */
export function doubtsAbout(document: Document, modelLists: readonly ModelList[] = []): DocumentProblem[] {
  const schemas = marksOf(document).flatMap(({ mark, value, path }) =>
    mark.kind === 'jsonSchema'
      ? unknownKeywords(value as object)
          .filter(({ similar }) => similar === undefined)
          .map(({ path: within }) => ({ path: [...path, ...within], message: 'is no keyword of JSON Schema, so it checks nothing' }))
      : [],
  );
  return [
    ...schemas,
    ...guessableSecrets(document),
    ...endedSchedule(document),
    ...missingKey(document),
    ...unlistedModels(document, modelLists),
    ...endedCertificates(document),
  ];
}

/** Below this, a secret can be found by trying; providers' own are longer. */
const shortestSafeSecret = 16;

function guessableSecrets(document: Document): DocumentProblem[] {
  if (document.kind !== 'Source' || !('secrets' in document.spec)) return [];
  return document.spec.secrets.flatMap((secret, at) =>
    'value' in secret && secret.value.length < shortestSafeSecret
      ? [
          {
            path: ['spec', 'secrets', String(at)],
            message: `has fewer than ${shortestSafeSecret} characters: whoever guesses it can send events`,
          },
        ]
      : [],
  );
}

/** A proxy may take a header in the place of the key. */
function missingKey(document: Document): DocumentProblem[] {
  if (document.kind !== 'ModelProvider') return [];
  const { service, apiKey, headers } = document.spec;
  const { needsKey, title }: ModelService = modelServices[service];
  if (needsKey === undefined || apiKey !== undefined || Object.keys(headers).length > 0) return [];
  return [{ path: ['spec', 'apiKey'], message: `is missing: ${title.replace(/,.*/, '')} refuses calls without a key` }];
}

/**
 * Problems of references: what the document names must exist.
 * @param known the documents of the tenant as they will be
 */
export function unknownReferences(
  references: readonly Reference[],
  known: readonly { readonly kind: DocumentKind; readonly name: string }[],
): DocumentProblem[] {
  return references.flatMap(({ kinds, name, path }) => {
    const names = known.filter(({ kind }) => kinds.includes(kind)).map((one) => one.name);
    if (names.includes(name)) return [];
    return [{ path, message: `names no ${kinds.map(inWords).join(' or ')} of this tenant: ${name}${didYouMean(name, names)}` }];
  });
}

/** The kind in a sentence: `model provider`. */
function inWords(kind: DocumentKind): string {
  return kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();
}

/** Problems of secrets: the scheme that a secret is for decides whether it can be used. */
function unusableSecrets(document: Document): DocumentProblem[] {
  if (document.kind === 'Source') return secretsOfSource(document);
  if (document.kind === 'Connection') return credentialsOfConnection(document);
  return document.kind === 'Destination' ? credentialsOfDestination(document) : [];
}

/** A schedule that could never fire, or a pull that could never begin. */
function unusableTiming(document: Document): DocumentProblem[] {
  const timing = document.kind === 'Schedule' ? document.spec : document.kind === 'Pull' ? timesOf(document.spec) : undefined;
  const problem = timing === undefined ? undefined : timingProblem(timing);
  return problem === undefined ? [] : [{ path: ['spec', problem.field], message: problem.message }];
}

/** Undefined for a pull whose passes begin at intervals. */
function timesOf({ cron, timeZone }: PullSpec): { cron: string; timeZone: string } | undefined {
  return cron === undefined || timeZone === undefined ? undefined : { cron, timeZone };
}

/** A schedule that has had its last tick. */
function endedSchedule(document: Document): DocumentProblem[] {
  if (document.kind !== 'Schedule' || timingProblem(document.spec) !== undefined) return [];
  if (new Timing(document.spec).after(wallTimeMs()) !== undefined) return [];
  return [{ path: ['spec', 'endsAt'], message: 'is over: no tick is left' }];
}

function secretsOfSource({ spec }: SourceDocument): DocumentProblem[] {
  const preset = presetOf(spec);
  if (preset === undefined || spec.scheme === 'api-key') return [];
  if (spec.publicUrl !== undefined && isSealed(spec.publicUrl)) return [];
  const publicUrl = spec.publicUrl === undefined ? undefined : clearText(spec.publicUrl);
  const given = Object.entries(spec.parameters ?? {});
  // A value does not decide whether a secret fits.
  const parameters = Object.fromEntries(given.map(([name, value]) => [name, isSealed(value) ? '-' : clearText(value)]));
  const problems = [
    ...parametersOf(spec.scheme, new Set(given.map(([name]) => name))),
    ...spec.secrets.flatMap((secret, at) =>
      isSealed(secret)
        ? []
        : refusal(['spec', 'secrets', String(at)], () => createVerifier(preset.scheme, [clearText(secret)], { publicUrl, parameters })),
    ),
  ];
  // What is missing is found again with each secret.
  return [...new Map(problems.map((problem) => [problem.path.join('.'), problem])).values()];
}

/** The parameters of a preset that the document lacks, and those that no preset of the name has. A custom scheme names its own. */
function parametersOf(scheme: SourceDocument['spec']['scheme'], given: ReadonlySet<string>): DocumentProblem[] {
  if (scheme === 'api-key' || scheme === 'custom') return [];
  const { parameters: known = {} }: ProviderPreset = providers[scheme];
  const names = Object.keys(known);
  const missing = names.filter((name) => !given.has(name)).map((name) => ({ name, message: `is missing: ${known[name]}` }));
  const fits = names.length === 0 ? `${scheme} has none` : `${scheme} has ${names.join(' and ')}`;
  const unknown = [...given].filter((name) => !names.includes(name)).map((name) => ({ name, message: `is no parameter: ${fits}` }));
  return [...missing, ...unknown].map(({ name, message }) => ({ path: ['spec', 'parameters', name], message }));
}

function credentialsOfDestination({ spec }: DestinationDocument): DocumentProblem[] {
  if (spec.kind !== 'http') return [];
  const { username, password } = isSealed(spec.url) ? { username: '', password: '' } : new URL(clearText(spec.url));
  const message = 'must not contain a user or password: they are not sent; write the header authorization: { value: Basic … }';
  return [
    ...(username === '' && password === '' ? [] : [{ path: ['spec', 'url'], message }]),
    ...(isSealed(spec.secret) ? [] : refusal(['spec', 'secret'], () => requireStandardWebhookSecret(clearText(spec.secret)))),
  ];
}

function credentialsOfConnection({ spec: { auth } }: ConnectionDocument): DocumentProblem[] {
  if (auth.kind !== 'mtls') return unusableAssertionKeys(auth, ['spec', 'auth']);
  return [...unusableCertificates(auth), ...(auth.and === undefined ? [] : unusableAssertionKeys(auth.and, ['spec', 'auth', 'and']))];
}

/** Only the installation that sealed a secret, or has the secret store, can check it. */
function isSealed(given: Secret | string): boolean {
  return typeof given === 'object' && !('value' in given);
}

function refusal(path: string[], attempt: () => unknown): DocumentProblem[] {
  try {
    attempt();
    return [];
  } catch (error) {
    return refusalFor(path, error);
  }
}

/** @throws the error itself if it is a defect */
function refusalFor(path: string[], error: unknown, prefix = ''): DocumentProblem[] {
  if (error instanceof PublicUrlMissing) return [{ path: ['spec', 'publicUrl'], message: error.message.replace(/^[^:]*: /, '') }];
  if (error instanceof ParameterMissing) return [{ path: error.field.split('.'), message: error.message.replace(/^[^:]*: /, '') }];
  if (error instanceof SecretInvalid) return [{ path, message: error.message.replace(/^[^:]*: /, '') }];
  if (!(error instanceof DomainError)) throw error;
  return [{ path, message: prefix + error.message }];
}
