import {
  DescriptionRefused,
  baseProblem,
  builtInConnectors,
  connectionMistakes,
  connectorSpecOf,
  hostProblem,
  namedConnector,
  withDefaults,
} from '#libs/connectors';
import type {
  ConnectionDocument,
  ConnectorDocument,
  ConnectorSpec,
  DestinationDocument,
  Document,
  DocumentLookup,
  ConnectorOperation,
  FlowStep,
  PullDocument,
} from '#libs/contracts';
import { allSteps, stepsOfFlow, tenantOf, unorderedUpsert } from '#libs/contracts';
import { SchemaInvalid, compileSchema, didYouMean, requireCompilable } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';
import { inputProblems } from './operation-inputs.js';
import { placedSteps } from './placed-steps.js';

/** The addresses that this installation allows beside those that connectors name. */
export interface AllowedAddresses {
  readonly isAllowed: (url: URL) => boolean;
}

const onlyNamed: AllowedAddresses = { isAllowed: () => false };

/**
 * Problems between documents: whether the connector of a connection exists and takes its settings and its credential, and whether the operation of a
 * destination, step or pull exists and can be used there. References to documents that do not exist are told elsewhere.
 * @param find the documents of the tenant as they will be
 * @param allowed default: no other address is allowed
 */
export async function connectorProblems(
  document: Document,
  find: DocumentLookup,
  allowed: AllowedAddresses = onlyNamed,
): Promise<DocumentProblem[]> {
  if (document.kind === 'Connection') return problemsOfConnection(document, find, allowed);
  if (document.kind === 'Destination') return problemsOfDestination(document, find);
  if (document.kind === 'Flow') return placedSteps(document.spec).flatMap(({ step, path }) => problemsOfStep(step, path, find));
  if (document.kind === 'Pull') return problemsOfPull(document, find);
  return document.kind === 'Connector' ? problemsOfConnector(document, allowed) : [];
}

/** Addresses of connections and connectors to which requests go only if other processes allow what this one does not. Parameters as above. */
export function connectorDoubts(document: Document, find: DocumentLookup, allowed: AllowedAddresses = onlyNamed): DocumentProblem[] {
  return unnamedHost(document, find, allowed, { isCertain: false });
}

/** The problem of a base whose host its connector does not name. */
function unnamedHost(
  document: Document,
  find: DocumentLookup,
  { isAllowed }: AllowedAddresses,
  { isCertain }: { isCertain: boolean },
): DocumentProblem[] {
  const found = hostProblemOf(document, find, isAllowed);
  return found?.isCertain === isCertain ? [{ path: found.path, message: found.message }] : [];
}

function hostProblemOf(document: Document, find: DocumentLookup, isAllowed: AllowedAddresses['isAllowed']): ReturnType<typeof hostProblem> {
  if (document.kind === 'Connection') {
    const spec = namedConnector(find, document.spec.connector);
    const found = spec && hostProblem(spec, withDefaults(spec.settings, document.spec.settings), isAllowed);
    return found && { ...found, path: ['spec', 'settings', ...found.path] };
  }
  if (document.kind !== 'Connector') return undefined;
  const spec = specOf(document);
  if (spec?.base === undefined || spec.base.includes('{')) return undefined; // depends on a connection
  const found = hostProblem(spec, {}, isAllowed);
  return found && { ...found, path: ['spec', 'base'] };
}

/** Undefined for an OpenAPI document or a WSDL that is refused, which is told elsewhere. */
function specOf({ spec }: ConnectorDocument): ConnectorSpec | undefined {
  try {
    return connectorSpecOf(spec);
  } catch (error) {
    if (error instanceof DescriptionRefused) return undefined;
    throw error;
  }
}

/** True if the first document uses the second one as its connector, directly or through its connection. */
export function usesConnector(user: Document, { metadata: { name } }: ConnectorDocument, find: DocumentLookup): boolean {
  if (user.kind === 'Connection') return user.spec.connector === name;
  return connectionsOf(user).some(
    (connection) => (find('Connection', connection) as ConnectionDocument | undefined)?.spec.connector === name,
  );
}

/** The names of the connections whose operations the document uses. */
function connectionsOf(user: Document): string[] {
  if (user.kind === 'Pull') return [user.spec.connection];
  if (user.kind === 'Destination') return user.spec.kind === 'operation' ? [user.spec.connection] : [];
  if (user.kind !== 'Flow') return [];
  const steps = stepsOfFlow(user.spec).flatMap((list) => allSteps(list.steps));
  return steps.flatMap(({ enrich, call }) =>
    [enrich, call].flatMap((used) => (used === undefined || 'flow' in used ? [] : [used.connection])),
  );
}

async function problemsOfConnector(document: ConnectorDocument, allowed: AllowedAddresses): Promise<DocumentProblem[]> {
  const { name } = document.metadata;
  if (builtInConnectors().has(name))
    return [{ path: ['metadata', 'name'], message: `is a connector that Millrace brings along: ${name}; choose another name` }];
  const { openapi, wsdl } = document.spec;
  const own = [...unnamedHost(document, () => undefined, allowed, { isCertain: true }), ...requestsWithoutEnvelope(document)];
  if (openapi === undefined && wsdl === undefined) return own;
  return [...own, ...(await problemsOfDescription(document, openapi === undefined ? 'wsdl' : 'openapi'))];
}

/** A token of WS-Security has its place in an envelope, which no request of a manifest is. */
function requestsWithoutEnvelope({ spec: { auth = [], wsdl, operations, health } }: ConnectorDocument): DocumentProblem[] {
  const others = [operations && 'operations', health && 'health'].filter((one) => one !== undefined);
  if (wsdl !== undefined && others.length === 0) return [];
  const message =
    wsdl === undefined
      ? 'is wsUsername, which goes into SOAP envelopes, and these operations send none: leave it out, give a WSDL in `wsdl`, or use the connector soap'
      : `is wsUsername, which goes into SOAP envelopes, and the requests in ${others.map((one) => `\`${one}\``).join(' and ')} are none: leave it out, or those`;
  return auth.flatMap(({ kind }, at) => (kind === 'wsUsername' ? [{ path: ['spec', 'auth', String(at), 'kind'], message }] : []));
}

/** The schemas of operations that an OpenAPI document or a WSDL describes are compiled, too. */
async function problemsOfDescription(document: ConnectorDocument, field: 'openapi' | 'wsdl'): Promise<DocumentProblem[]> {
  const problems: DocumentProblem[] = [];
  try {
    const { operations } = connectorSpecOf(document.spec);
    for (const [name, { input, output }] of Object.entries(operations)) {
      for (const schema of [input, output]) {
        const refused = await requireCompilable(schema, { owner: tenantOf(document) }).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (refused instanceof SchemaInvalid)
          problems.push({
            path: ['spec', field, 'document'],
            message: `has a schema in ${name} that cannot be checked: ${refused.message}; leave the operation out by \`only\``,
          });
        else if (refused !== undefined) throw refused;
      }
    }
  } catch (error) {
    if (!(error instanceof DescriptionRefused)) throw error;
    problems.push({ path: ['spec', ...error.path], message: error.message });
  }
  return problems;
}

async function problemsOfConnection(
  document: ConnectionDocument,
  find: DocumentLookup,
  allowed: AllowedAddresses,
): Promise<DocumentProblem[]> {
  const { connector, settings, auth } = document.spec;
  const spec = namedConnector(find, connector);
  if (spec === undefined) {
    const known = [...builtInConnectors().keys()];
    const message = `names no connector of Millrace or of this tenant: ${connector}${didYouMean(connector, known)} (Millrace brings along ${known.join(', ')})`;
    return [{ path: ['spec', 'connector'], message }];
  }
  const kinds = auth.kind === 'mtls' ? ['mtls', ...(auth.and === undefined ? [] : [auth.and.kind])] : [auth.kind];
  const refused = kinds.filter((kind) => !spec.auth.some((one) => one.kind === kind));
  const taken = spec.auth.map(({ kind }) => kind).join(', ');
  const problems = refused.map((kind) => ({
    path: ['spec', 'auth', 'kind'],
    message: `is ${kind}, and the connector ${connector} takes ${taken}`,
  }));
  const unfit = await problemsOfSettings(spec, settings, auth, tenantOf(document));
  if (problems.length + unfit.length > 0) return [...problems, ...unfit];
  const mistakes = connectionMistakes(connector, spec, { given: settings, credentials: kinds });
  return [
    ...mistakes.map(({ path, message }) => ({ path: ['spec', ...path], message })),
    ...unnamedHost(document, find, allowed, { isCertain: true }),
  ];
}

async function problemsOfSettings(
  spec: ConnectorSpec,
  settings: ConnectionDocument['spec']['settings'],
  auth: ConnectionDocument['spec']['auth'],
  owner: string,
): Promise<DocumentProblem[]> {
  const all = withDefaults(spec.settings, settings);
  const unknown = unknownSettings(spec, settings);
  if (unknown.length > 0) return unknown;
  const misfits = await compileSchema(spec.settings, { owner }).problemsOf(all);
  if (misfits.length > 0) return misfits.map((line) => settingProblem(line));
  const base = baseProblem(spec, all, { isTls: auth.kind === 'mtls' });
  return base === undefined ? [] : [{ path: ['spec', 'settings', ...base.path], message: base.message }];
}

/** The check of the schema does not say which property is too many. */
function unknownSettings({ settings: schema }: ConnectorSpec, settings: object): DocumentProblem[] {
  if (schema['additionalProperties'] !== false) return [];
  const known = Object.keys((schema['properties'] ?? {}) as object);
  const unknown = Object.keys(settings).filter((name) => !known.includes(name));
  const has = known.length === 0 ? 'the connector has no settings' : `the connector has only ${known.join(', ')}`;
  return unknown.map((name) => ({ path: ['spec', 'settings', name], message: `is no setting: ${has}${didYouMean(name, known)}` }));
}

/** A line of a schema's check begins with a JSON pointer, or says what of the whole is wrong. */
function settingProblem(line: string): DocumentProblem {
  const [, missing] = /^the value must have required property '([^']+)'$/.exec(line) ?? [];
  if (missing !== undefined) return { path: ['spec', 'settings', missing], message: 'is missing' };
  const [, pointer = '', message = line] = /^(\/\S*) (.*)$/s.exec(line) ?? [];
  return { path: ['spec', 'settings', ...pointer.split('/').slice(1)], message: message.replace(/^the value /, '') };
}

function problemsOfDestination({ spec }: DestinationDocument, find: DocumentLookup): DocumentProblem[] {
  if (spec.kind !== 'operation') return [];
  const found = operationOf(spec, 'write', ['spec'], find);
  if (!('operation' in found)) return found.problems;
  const { idempotency } = found.operation;
  const undeclared = declarationProblems(spec, idempotency, ['spec']);
  if (undeclared.length > 0) return undeclared;
  const unordered = idempotency?.class === 'declared' ? undefined : unorderedUpsert(spec, idempotency);
  if (unordered !== undefined) return [{ path: ['spec', 'order'], message: unordered }];
  return inputProblems(spec.input, { operation: spec.operation, schema: found.operation.input, path: ['spec', 'input'] });
}

/** An operation without pages is read as a list of one page; whether its output is one is seen when it is read. */
function problemsOfPull({ spec }: PullDocument, find: DocumentLookup): DocumentProblem[] {
  const found = operationOf(spec, 'read', ['spec'], find);
  if (!('operation' in found)) return found.problems;
  const { paging, output } = found.operation;
  if (paging !== undefined && spec.items !== undefined)
    return [{ path: ['spec', 'items'], message: `is what the operation says itself: ${spec.operation} has pages; leave it out` }];
  if (paging === undefined && spec.items === undefined && output['type'] !== undefined && output['type'] !== 'array') {
    const message = `is missing: ${spec.operation} has no pages, and its output is no list; say where the items stand in it, such as output.rows`;
    return [{ path: ['spec', 'items'], message }];
  }
  return inputProblems(spec.input ?? '{}', { operation: spec.operation, schema: found.operation.input, path: ['spec', 'input'] });
}

function problemsOfStep({ enrich, call }: FlowStep, path: readonly string[], find: DocumentLookup): DocumentProblem[] {
  if (enrich !== undefined) {
    const found = operationOf(enrich, 'read', [...path, 'enrich'], find);
    if (!('operation' in found)) return found.problems;
    return inputProblems(enrich.input, { operation: enrich.operation, schema: found.operation.input, path: [...path, 'enrich', 'input'] });
  }
  if (call === undefined || 'flow' in call) return [];
  const found = operationOf(call, 'write', [...path, 'call'], find);
  if (!('operation' in found)) return found.problems;
  return [
    ...declarationProblems(call, found.operation.idempotency, [...path, 'call']),
    ...inputProblems(call.input, { operation: call.operation, schema: found.operation.input, path: [...path, 'call', 'input'] }),
  ];
}

/** The operation that a destination or a step names; or what is wrong with that. */
function operationOf(
  { connection: name, operation }: { readonly connection: string; readonly operation: string },
  effect: ConnectorOperation['effect'],
  path: readonly string[],
  find: DocumentLookup,
): { operation: ConnectorOperation } | { problems: DocumentProblem[] } {
  const connection = find('Connection', name) as ConnectionDocument | undefined;
  const connector = connection === undefined ? undefined : namedConnector(find, connection.spec.connector);
  if (connector === undefined) return { problems: [] }; // told as the problem of the reference, or of the connection
  const { operations } = connector;
  const problem = (message: string): { problems: DocumentProblem[] } => ({ problems: [{ path: [...path, 'operation'], message }] });
  if (Object.hasOwn(operations, operation)) {
    const found = operations[operation]!;
    if (found.effect === effect) return { operation: found };
    return problem(
      effect === 'write' ? `only reads: ${operation}; one that writes is needed` : `writes: ${operation}; one that reads is needed`,
    );
  }
  const fitting = Object.keys(operations).filter((one) => operations[one]!.effect === effect);
  return problem(
    `names no operation of ${connection!.spec.connector}: ${operation}${didYouMean(operation, fitting)} (it has ${fitting.join(', ') || 'none of this effect'})`,
  );
}

function declarationProblems(
  { idempotency: given }: { readonly idempotency?: unknown },
  idempotency: ConnectorOperation['idempotency'],
  path: readonly string[],
): DocumentProblem[] {
  const at = [...path, 'idempotency'];
  const isDeclared = idempotency?.class === 'declared';
  if (isDeclared && given === undefined)
    return [{ path: at, message: 'is missing: the input decides what this operation does, so say what makes it take effect once' }];
  if (!isDeclared && given !== undefined)
    return [{ path: at, message: `is what the operation says itself (${idempotency?.class}): leave it out` }];
  return [];
}
