import { namedConnector } from '#libs/connectors';
import type { ConnectionDocument, Document, DocumentLookup, FlowDocument, FlowSpec, FlowStep } from '#libs/contracts';
import { stepsWithin } from '#libs/contracts';
import { valueSources } from '#libs/expressions';
import { schemasOfField } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';
import { placedSteps } from './placed-steps.js';

type Path = readonly string[];

/** Flows that call one another are refused deeper than this. */
const deepestCalls = 10;
/** Characters of a path in a message. */
const longestName = 100;
/** The most paths that are followed for one flow. A flow that has more is not looked at further. */
const mostPaths = 500;

/**
 * Doubts about addresses that a model chooses: a field of an operation's input whose schema says `x-address`, and whose value comes from what a model
 * wrote. Whoever writes an event may then decide where the operation goes. Values that a model only picks among those of the flow (an `enum`, a condition)
 * are no doubt, nor is what another system answered.
 * @param find the documents of the tenant as they will be
 */
export function modelChosenAddresses(document: Document, find: DocumentLookup): DocumentProblem[] {
  if (document.kind !== 'Flow') return [];
  const flow = new FlowSources(document, find);
  return placedSteps(document.spec).flatMap(({ step, path }) => flow.doubtsOf(step, path));
}

/** Follows values of one flow back to where they come from. */
class FlowSources {
  private readonly spec: FlowSpec;
  private readonly steps: ReadonlyMap<string, FlowStep>;
  /** Expressions of the names that steps around a step add, such as the item of a `forEach`. */
  private readonly added: ReadonlyMap<string, string>;
  /** The fields of models' outputs by the path that leads to them, as far as paths have been followed. */
  private readonly known = new Map<string, readonly string[]>();
  private readonly expressions = new Map<string, ReturnType<typeof valueSources>>();

  constructor(
    document: FlowDocument,
    private readonly find: DocumentLookup,
    private readonly depth = 0,
    /** The fields of models' outputs that a field of `event.data` is made of, where another flow hands it over. Default: nothing that a model wrote. */
    private readonly handedOver = (_field: Path): readonly string[] => [],
  ) {
    this.spec = document.spec;
    const all = placedSteps(document.spec).map(({ step }) => step);
    this.steps = new Map(all.map((step) => [step.id, step]));
    this.added = new Map(all.flatMap(({ forEach }) => (forEach === undefined ? [] : [[forEach.as, forEach.items]])));
  }

  doubtsOf({ enrich, call, deliver }: FlowStep, path: Path): DocumentProblem[] {
    if (enrich !== undefined) return this.doubtsOfOperation(enrich, [...path, 'enrich', 'input']);
    if (call !== undefined && !('flow' in call)) return this.doubtsOfOperation(call, [...path, 'call', 'input']);
    return deliver === undefined ? [] : this.doubtsOfDelivery(deliver, [...path, 'deliver']);
  }

  private doubtsOfOperation({ connection, operation, input }: OperationUse, path: Path): DocumentProblem[] {
    if (input === undefined) return [];
    return this.doubt(path, `${connection}.${operation}`, { connection, operation }, (field) => this.sourcesOf(input, field));
  }

  private doubtsOfDelivery({ destination: name, payload }: NonNullable<FlowStep['deliver']>, path: Path): DocumentProblem[] {
    const destination = this.find('Destination', name);
    if (destination?.kind !== 'Destination' || destination.spec.kind !== 'operation') return [];
    const { operation, input = 'payload' } = destination.spec;
    const at = [...path, payload === undefined ? 'destination' : 'payload'];
    return this.doubt(at, `${name} (${operation})`, destination.spec, (field) =>
      this.sourcesOf(input, field).flatMap(([, ...within]) => this.payloadSources(payload, within)),
    );
  }

  private doubt(
    path: Path,
    what: string,
    { connection, operation }: OperationUse,
    sourcesOf: (field: Path) => readonly Path[],
  ): DocumentProblem[] {
    const addresses = this.addressesOf(connection, operation).map((field) => ({
      field: field.join('.'),
      written: sourcesOf(field).flatMap((source) => this.writtenBy(source)),
    }));
    const chosen = addresses.filter(({ written }) => written.length > 0);
    if (chosen.length === 0) return [];
    const fields = chosen.map(({ field }) => field).join(', ');
    const names = [...new Set(chosen.flatMap(({ written }) => written))]
      .slice(0, 3)
      .map((name) => name.slice(0, longestName))
      .join(', ');
    const message =
      `lets a model choose where ${what} goes: ${fields} comes from what it wrote (${names}), so whoever writes the event may choose it; ` +
      'let the flow name the address, by a condition over an `enum` of the output or by `grounded` with `in`';
    return [{ path: [...path], message }];
  }

  private payloadSources(payload: string | undefined, field: Path): readonly Path[] {
    if (payload !== undefined) return this.sourcesOf(payload, field);
    if (field.length > 0 && field[0] !== 'decision') return [];
    return this.decisionSources(field.slice(1));
  }

  /** The paths that a field of the decision is made of. */
  decisionSources(field: Path): readonly Path[] {
    if (this.spec.decision !== undefined) return this.sourcesOf(this.spec.decision, field);
    return pathsOfLast(this.spec.steps, field);
  }

  /** The fields of models' outputs that a path leads to, such as `steps.assess.to`. */
  writtenBy(path: Path): readonly string[] {
    const key = path.join('\n');
    const known = this.known.get(key);
    if (known !== undefined || this.known.size >= mostPaths) return known ?? [];
    this.known.set(key, []);
    const found = [...new Set(this.follow(path))];
    this.known.set(key, found);
    return found;
  }

  private sourcesOf(expression: string, field: Path): readonly Path[] {
    const known = this.expressions.get(expression) ?? valueSources(expression);
    this.expressions.set(expression, known);
    return known(field);
  }

  private follow([name, id, ...field]: Path): string[] {
    const items = name === undefined ? undefined : this.added.get(name);
    if (items !== undefined) {
      const within = [...(id === undefined ? [] : [id]), ...field];
      return this.sourcesOf(items, ['*', ...within]).flatMap((source) => this.writtenBy(source));
    }
    if (name === 'event') return id === 'data' ? [...this.handedOver(field)] : [];
    if (name !== undefined && name !== 'steps') return [];
    if (id === undefined) return [...this.steps.values()].flatMap((step) => this.writtenByStep(step, []));
    const step = this.steps.get(id);
    return step === undefined ? [] : this.writtenByStep(step, field);
  }

  private writtenByStep(step: FlowStep, field: Path): string[] {
    const { infer, validate, map, call, forEach, review, onError } = step;
    const follow = (paths: readonly Path[]): string[] => paths.flatMap((path) => this.writtenBy(path));
    const fallback = [
      ...(onError?.value === undefined ? [] : follow(this.sourcesOf(onError.value, field))),
      ...(onError?.steps === undefined ? [] : follow(pathsOfLast(onError.steps, field))),
    ];
    if (infer !== undefined) return [...(this.isWritten(infer, field) ? [['steps', step.id, ...field].join('.')] : []), ...fallback];
    if (validate !== undefined) return [...follow(this.sourcesOf(validate.input, field)), ...fallback];
    if (map !== undefined) return [...follow(this.sourcesOf(map.expression, field)), ...fallback];
    if (review !== undefined) {
      // A person sees the proposal, except where none is needed.
      const unseen = [...(review.needed === undefined ? [] : [review.proposal]), ...(review.default === undefined ? [] : [review.default])];
      const [part, ...within] = field;
      const values = part === undefined || part === 'value' ? unseen.flatMap((expression) => this.sourcesOf(expression, within)) : [];
      return [...follow(values), ...fallback];
    }
    if (call !== undefined && 'flow' in call) return [...this.writtenInFlow(step.id, call, field), ...fallback];
    const lists =
      forEach === undefined
        ? stepsWithin({ ...step, onError: undefined }).map(({ steps }) => steps)
        : [forEach.steps as readonly FlowStep[]];
    const within = forEach === undefined ? field : withoutItem(field);
    return [...lists.flatMap((steps) => follow(pathsOfLast(steps, within))), ...fallback];
  }

  private writtenInFlow(
    id: string,
    { flow: name, input = 'event.data' }: { flow: string; input?: string | undefined },
    field: Path,
  ): string[] {
    const called = this.find('Flow', name);
    if (called?.kind !== 'Flow' || this.depth >= deepestCalls) return [];
    const handedOver = (within: Path): string[] => this.sourcesOf(input, within).flatMap((source) => this.writtenBy(source));
    const inner = new FlowSources(called, this.find, this.depth + 1, handedOver);
    const isWritten = inner.decisionSources(field).some((path) => inner.writtenBy(path).length > 0);
    return isWritten ? [['steps', id, ...field].join('.')] : [];
  }

  /** True if a model can write what it likes into the field, not only choose among values that the flow names. */
  private isWritten({ output, grounded = [] }: NonNullable<FlowStep['infer']>, field: Path): boolean {
    if (grounded.some((one) => one.in !== undefined && isSameField(one.field.split('.'), field))) return false;
    const found = schemasOfField(output, throughLists(output, field));
    if ('unknownAt' in found) return !found.isExcluded;
    return found.isOpen || !found.schemas.some(isClosed);
  }

  /** The fields of an operation's input that say `x-address`. */
  private addressesOf(name: string, operation: string): Path[] {
    const connection = this.find('Connection', name) as ConnectionDocument | undefined;
    const operations = connection === undefined ? undefined : namedConnector(this.find, connection.spec.connector)?.operations;
    return operations === undefined || !Object.hasOwn(operations, operation) ? [] : addressFields(operations[operation]!.input);
  }
}

interface OperationUse {
  readonly connection: string;
  readonly operation: string;
  readonly input?: string | undefined;
}

/** The output of a list of steps: that of its last step that is no delivery. */
function pathsOfLast(steps: readonly FlowStep[], field: Path): readonly Path[] {
  const last = steps.findLast(({ deliver }) => deliver === undefined);
  return last === undefined ? [] : [['steps', last.id, ...field]];
}

/** The output of a `forEach` is a list, through which JSONata's paths lead; with `onItemFailure: collect`, one of objects with an `output`. */
function withoutItem(field: Path): Path {
  const [first, ...rest] = field;
  return first === '*' ? withoutItem(rest) : first === 'output' ? rest : field;
}

/** A schema can be a list of itself. */
const longestField = 50;

/** The field with `*` where the schema has a list: JSONata's paths lead through lists by themselves. */
function throughLists(schema: object, field: Path): Path {
  let path = field.filter((part) => part !== '*');
  for (let at = 0; at <= path.length && path.length < longestField; at += 1) {
    const found = schemasOfField(schema, path.slice(0, at));
    if ('schemas' in found && found.schemas.some(({ type, items }) => type === 'array' || items !== undefined))
      path = [...path.slice(0, at), '*', ...path.slice(at)];
  }
  return path;
}

function isSameField(grounded: Path, field: Path): boolean {
  const named = (path: Path): string => path.filter((part) => part !== '*').join('.');
  return named(grounded) === named(field);
}

function isClosed({ enum: values, const: value, type }: Readonly<Record<string, unknown>>): boolean {
  return values !== undefined || value !== undefined || type === 'boolean' || type === 'null';
}

const deepestField = 5;

function addressFields(schema: object, path: Path = []): Path[] {
  const { properties, items } = schema as { properties?: Record<string, object>; items?: object };
  if ('x-address' in schema && schema['x-address'] === true) return [path];
  if (path.length >= deepestField) return [];
  const within = Object.entries(properties ?? {}).flatMap(([name, property]) => addressFields(property, [...path, name]));
  return [...within, ...(items !== undefined && !Array.isArray(items) ? addressFields(items, [...path, '*']) : [])];
}
