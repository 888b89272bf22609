import { stepOrder } from '#libs/contracts';
import type { Document, FlowSpec, MarkedValue } from '#libs/contracts';
import { functionNames, namesIn } from '#libs/expressions';
import { similarName } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';

const eventFields = ['id', 'type', 'source', 'customer', 'occurredAt', 'receivedAt', 'data'];

/** The data that an expression reads. */
interface Scope {
  /** The names in it, each with the names within it, or undefined if they are not known before an event comes. */
  readonly names: Readonly<Record<string, readonly string[] | undefined>>;
  /** Ids of all steps of the flow, also of those that this expression may not read. */
  readonly stepIds: readonly string[];
}

/** Problems of names in an expression that compiles: functions, variables, steps and fields of the event that do not exist have no value, silently. */
export function unknownNames(document: Document, { value, path }: MarkedValue): DocumentProblem[] {
  const { undefinedVariables, inputPaths } = namesIn(value as string);
  const variables = undefinedVariables.map((name) => `uses $${name}, which nothing defines${suggestion('$', name, functionNames)}`);
  const scope = scopeOf(document, path);
  const reads = scope === undefined ? [] : inputPaths.flatMap((read) => problemOf(read, scope) ?? []);
  return [...new Set([...variables, ...reads])].map((message) => ({ path, message }));
}

function scopeOf(document: Document, path: readonly string[]): Scope | undefined {
  if (document.kind === 'Source') return { names: { body: undefined, headers: undefined }, stepIds: [] };
  if (document.kind === 'Destination') return { names: { payload: undefined }, stepIds: [] };
  return document.kind === 'Flow' ? scopeInFlow(document.spec, path.slice(1)) : undefined;
}

function scopeInFlow({ steps }: FlowSpec, [part, at, , field]: readonly string[]): Scope {
  const stepIds = steps.map(({ id }) => id);
  if (part === 'on') return { names: { event: eventFields }, stepIds };
  if (part !== 'steps') return { names: { event: eventFields, steps: stepIds }, stepIds };
  const { reads } = stepOrder(steps)[Number(at)]!;
  return { names: { event: eventFields, steps: reads, ...(field === 'rules' ? { value: undefined } : {}) }, stepIds };
}

function problemOf([name = '', inner]: readonly string[], { names, stepIds }: Scope): string | undefined {
  const known = Object.keys(names);
  if (!known.includes(name)) return `reads ${name}, but there is only ${known.join(' and ')}${suggestion('', name, known)}`;
  const within = names[name];
  if (inner === undefined || within === undefined || within.includes(inner)) return undefined;
  const read = `reads ${name}.${inner}`;
  if (name !== 'steps') return `${read}, but ${name} has only ${within.join(', ')}${suggestion('', inner, within)}`;
  if (stepIds.includes(inner))
    return `${read}, which this step does not wait for: name it in \`needs\` of this step, which must stand below it`;
  return `${read}, which is no step of this flow${suggestion('', inner, stepIds)}`;
}

function suggestion(sign: string, given: string, names: Iterable<string>): string {
  const similar = similarName(given, names);
  return similar === undefined ? '' : `; did you mean ${sign}${similar}?`;
}
