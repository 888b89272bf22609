import { eventViewFields, fallbackErrorFields, stepOrder, stepsOfFlow, stepsWithin } from '#libs/contracts';
import type { Document, FlowSpec, FlowStep, MarkedValue, StepsWithin } from '#libs/contracts';
import { functionNames, namesIn } from '#libs/expressions';
import { didYouMean } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';

const deliveryFields = ['id', 'firstAttemptAt', 'firstAttemptSeconds'];
const pageFields = ['cursor', 'number', 'offset'];
const responseFields = ['status', 'headers', 'body', 'text'];

/** The data that an expression reads. */
interface Scope {
  /** The names in it, each with the names within it, or undefined if they are not known before an event comes. */
  readonly names: Readonly<Record<string, readonly string[] | undefined>>;
  /** All steps of the flow by id, also those that this expression may not read, each with the id of the step around it. */
  readonly steps: ReadonlyMap<string, { readonly within: string | undefined }>;
  /** The steps of the lists around the expression by id, each with the step of that list which the expression belongs to, if it belongs to one. */
  readonly near: ReadonlyMap<string, string | undefined>;
}

/** Problems of names in an expression that compiles: functions, variables, steps and fields of the event that do not exist have no value, silently. */
export function unknownNames(document: Document, { value, path }: MarkedValue): DocumentProblem[] {
  const { undefinedVariables, inputPaths } = namesIn(value as string);
  const scope = scopeOf(document, path);
  const reads = scope === undefined ? [] : inputPaths.flatMap((read) => problemOf(read, scope) ?? []);
  return [...new Set([...undefinedVariables.map(undefinedVariable), ...reads])].map((message) => ({ path, message }));
}

/**
 * Names in an expression outside of a document that have no value, silently.
 * @param names the names that it sees, each with those within it, or undefined if they are not known
 */
export function namesWithoutValue(expression: string, names: Scope['names']): string[] {
  const { undefinedVariables, inputPaths } = namesIn(expression);
  const known = Object.keys(names);
  const reads = inputPaths.flatMap(([name = '', inner]): string[] => {
    if (!known.includes(name)) return [missing(name, known)];
    const within = names[name];
    if (inner === undefined || within === undefined || within.includes(inner)) return [];
    const has = within.length === 0 ? `${name} is empty` : `${name} has only ${within.join(', ')}`;
    return [`reads ${name}.${inner}, but ${has}${didYouMean(inner, within)}`];
  });
  return [...new Set([...undefinedVariables.map(undefinedVariable), ...reads])];
}

function undefinedVariable(name: string): string {
  return `uses $${name}, which nothing defines${didYouMean(name, functionNames, '$')}`;
}

function missing(name: string, known: readonly string[]): string {
  return `reads ${name}, but there is only ${known.join(' and ')}${didYouMean(name, known)}`;
}

function scopeOf(document: Document, path: readonly string[]): Scope | undefined {
  if (document.kind === 'Source') return { names: { body: undefined, headers: undefined }, steps: new Map(), near: new Map() };
  if (document.kind === 'Destination') return { names: { payload: undefined }, steps: new Map(), near: new Map() };
  if (document.kind === 'Pull') return { names: scopeInPull(path[1]), steps: new Map(), near: new Map() };
  if (document.kind === 'Connector') return { names: scopeInConnector(path.slice(1)), steps: new Map(), near: new Map() };
  return document.kind === 'Flow' ? scopeInFlow(document.spec, path.slice(1)) : undefined;
}

function scopeInPull(field: string | undefined): Scope['names'] {
  if (field === 'input') return { since: undefined, startedAt: undefined };
  return field === 'items' ? { output: undefined } : { item: undefined };
}

/** Names of the data that requests are made of; a look at a response sees that, too. */
function scopeInConnector(path: readonly string[]): Scope['names'] {
  const request = { input: undefined, settings: undefined, account: undefined, delivery: deliveryFields, page: pageFields };
  if (path[0] === 'webhooks') return scopeInWebhooks(path[1], path[2]);
  return path.includes('request') ? request : { ...request, response: responseFields };
}

function scopeInWebhooks(part: string | undefined, field: string | undefined): Scope['names'] {
  if (field === 'input') return Object.fromEntries(['url', 'target', 'events', 'event', 'secret', 'id'].map((name) => [name, undefined]));
  return part === 'list' ? { item: undefined } : { output: undefined };
}

function scopeInFlow(spec: FlowSpec, path: readonly string[]): Scope {
  const lists = stepsOfFlow(spec);
  const steps = new Map(lists.flatMap((list) => list.steps).flatMap((step) => stepsByParent(step, undefined)));
  const ids = spec.steps.map(({ id }) => id);
  const near = new Map(ids.map((id) => [id, undefined]));
  if (path[0] === 'on') return { names: { event: eventViewFields }, steps, near };
  const list = listAt(lists, path);
  if (list === undefined) return { names: { event: eventViewFields, steps: ids }, steps, near };
  const isOwn = list.steps === spec.steps;
  const around = { names: { event: eventViewFields, ...list.adds, steps: isOwn ? [] : ids }, steps, near: isOwn ? new Map() : near };
  return scopeInList(list.steps, path.slice(list.path.length), around);
}

function listAt(lists: readonly StepsWithin[], path: readonly string[]): StepsWithin | undefined {
  return lists.find((list) => list.path.every((part, place) => String(part) === path[place]));
}

/** The scope at a path that begins with the place of a step in its list. */
function scopeInList(list: readonly FlowStep[], [at, ...path]: readonly string[], around: Scope): Scope {
  const step = list[Number(at)]!;
  const { reads } = stepOrder(list)[Number(at)]!;
  const names = { ...around.names, steps: [...around.names['steps']!, ...reads] };
  const own = { ...around, names, near: new Map([...around.near, ...list.map(({ id }) => [id, step.id] as const)]) };
  const inner = listAt(stepsWithin(step), path);
  if (inner !== undefined) return scopeInList(inner.steps, path.slice(inner.path.length), { ...own, names: { ...names, ...inner.adds } });
  return { ...own, names: { ...names, ...addedTo(step, path) } };
}

/** The names that an expression of the step itself sees beside those of its list. */
function addedTo(step: FlowStep, [field, part]: readonly string[]): Scope['names'] {
  if (field === 'infer' && part === 'rules') return { value: undefined, input: undefined };
  if (field === 'validate' && part === 'rules') return { value: undefined };
  if (field === 'wait' && part === 'event') return { arrived: eventViewFields };
  if (field === 'forEach' && part === 'key') return { [step.forEach!.as]: undefined };
  return field === 'onError' ? { error: fallbackErrorFields } : {};
}

function stepsByParent(step: FlowStep, within: string | undefined): [string, { within: string | undefined }][] {
  return [[step.id, { within }], ...stepsWithin(step).flatMap(({ steps }) => steps.flatMap((inner) => stepsByParent(inner, step.id)))];
}

function problemOf([name = '', inner]: readonly string[], { names, steps, near }: Scope): string | undefined {
  const known = Object.keys(names);
  if (!known.includes(name)) return missing(name, known);
  const within = names[name];
  if (inner === undefined || within === undefined || within.includes(inner)) return undefined;
  const read = `reads ${name}.${inner}`;
  if (name !== 'steps') return `${read}, but ${name} has only ${within.join(', ')}${didYouMean(inner, within)}`;
  const named = steps.get(inner);
  if (named === undefined) return `${read}, which is no step of this flow${didYouMean(inner, steps.keys())}`;
  if (near.get(inner) === inner) return `${read}, which has no output before it ends`;
  if (near.has(inner)) {
    const reader = near.get(inner) === [...near.values()].at(-1) ? 'this step' : `the step ${near.get(inner)}`;
    return `${read}, but ${inner} may not have ended by then: ${reader} must stand below ${inner} and have it in its \`needs\``;
  }
  if (named.within === undefined) return `${read}, which has an output only where a run is given up: it is a step of onFailure`;
  return `${read}, which is a step within ${named.within}: only the steps below it in its list see its output; read steps.${named.within}`;
}
