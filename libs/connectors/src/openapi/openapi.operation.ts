import type { ConnectorOperation, OpenApiSource } from '#libs/contracts';
import type { Json } from '#libs/json';
import { OperationLeftOut, asOperationName } from '../description.js';
import type { JsonSchema } from '../description.js';
import { asObject, resolved } from './openapi.document.js';
import type { OpenApi, OpenApiObject } from './openapi.document.js';
import { SchemaMaker, asSchema } from './openapi.schema.js';

/** An operation of a document, with its place. */
export interface OperationOf {
  readonly method: string;
  readonly path: string;
  readonly operation: OpenApiObject;
  /** The parameters of all operations of the path. */
  readonly shared: unknown;
}

type Declared = OpenApiSource['operations'][string];
type Request = Record<'query' | 'headers', Record<string, string>> & { body?: string; form?: string };

/** A parameter, as the input has it. */
interface Parameter {
  readonly name: string;
  readonly place: 'path' | 'query' | 'header';
  /** Its name in the input. */
  readonly field: string;
  readonly isRequired: boolean;
  readonly schema: unknown;
  readonly style: string | undefined;
  readonly explode: boolean | undefined;
  readonly description: unknown;
}

const jsonType = /^application\/(?:[\w.+-]+\+)?json\b/i;
const formType = 'application/x-www-form-urlencoded';
/** Headers that a request of OpenAPI has by its media types and its security, and that parameters therefore do not set. */
const ownHeaders = /^(?:accept|content-type|authorization)$/i;

/** The name of an operation: its `operationId`, or its method and path, as letters and digits. */
export function operationNameOf(id: unknown, method: string, path: string): string {
  return asOperationName(typeof id === 'string' && /[A-Za-z]/.test(id) ? id : `${method} ${path}`);
}

/** The operation of a manifest that sends this one. @throws OperationLeftOut, DescriptionRefused */
export function manifestOperation(document: OpenApi, found: OperationOf, declared: Declared): ConnectorOperation {
  const { method, operation } = found;
  const effect = declared.effect ?? (method === 'get' || method === 'head' ? 'read' : 'write');
  const parameters = parametersOf(document, found);
  const request: Request = { query: {}, headers: {} };
  const schemas = new SchemaMaker(document, 'request');
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const parameter of parameters) {
    if (parameter.place === 'query') Object.assign(request.query, queryOf(document, parameter));
    if (parameter.place === 'header') request.headers[parameter.name] = `{input.${parameter.field}${parameter.isRequired ? '' : '?'}}`;
    const { description } = parameter;
    const schema = asSchema(schemas.schemaOf(parameter.schema));
    properties[parameter.field] = typeof description === 'string' ? { ...schema, description } : schema;
    if (parameter.isRequired) required.push(parameter.field);
  }
  const body = bodyOf(document, operation['requestBody']);
  if (body !== undefined) {
    if (method === 'get' || method === 'head') throw new OperationLeftOut(`has a body although its method is ${method.toUpperCase()}`);
    properties['body'] = asSchema(schemas.schemaOf(body.schema));
    required.push('body');
    if (body.type === formType) request.form = 'input.body';
    else request.body = 'input.body';
    if (body.type !== 'application/json' && body.type !== formType) request.headers['content-type'] = body.type;
  }
  const answer = answerOf(document, operation['responses']);
  if (answer.type !== undefined && answer.type !== 'application/json') request.headers['accept'] = answer.type;
  if (declared.keyHeader !== undefined) setKey(request, parameters, { properties, required }, declared.keyHeader);
  const { summary, description } = operation;
  const about = [summary, description, `${method.toUpperCase()} ${found.path}`].find(
    (text) => typeof text === 'string' && text.trim() !== '',
  ) as string;
  return {
    summary: about.trim().split('\n')[0]!.slice(0, 300),
    effect,
    ...(effect === 'write' ? { idempotency: declared.idempotency ?? { class: 'none' } } : {}),
    input: schemas.whole({ type: 'object', additionalProperties: false, properties, ...(required.length === 0 ? {} : { required }) }),
    output: answer.schema,
    errors: [],
    maxBodyBytes: 4 * 1_024 * 1_024,
    request: { method: method.toUpperCase() as 'GET', path: pathOf(found.path, parameters), ...request },
  };
}

/** The key stands in its header, so the input has none. */
function setKey(
  request: Request,
  parameters: readonly Parameter[],
  input: { properties: Record<string, JsonSchema>; required: string[] },
  keyHeader: string,
): void {
  const taken = parameters.find(({ place, name }) => place === 'header' && name.toLowerCase() === keyHeader.toLowerCase());
  if (taken !== undefined) {
    delete request.headers[taken.name];
    delete input.properties[taken.field];
    input.required.splice(0, input.required.length, ...input.required.filter((field) => field !== taken.field));
  }
  request.headers[keyHeader] = '{delivery.id}';
}

/** @throws OperationLeftOut, DescriptionRefused */
function parametersOf(document: OpenApi, { operation, shared }: OperationOf): Parameter[] {
  const listed = [shared, operation['parameters']].flatMap((list) => (Array.isArray(list) ? (list as unknown[]) : []));
  const byPlace = new Map<string, OpenApiObject>();
  for (const one of listed) {
    const parameter = asObject(resolved(document, one));
    byPlace.set(`${String(parameter['in'])}:${String(parameter['name'])}`, parameter);
  }
  const fields = new Set(['body']);
  return [...byPlace.values()].flatMap((parameter): Parameter[] => {
    const { name, in: place, required, schema, style, explode, description } = parameter;
    if (typeof name !== 'string' || (place === 'header' && ownHeaders.test(name))) return [];
    const isRequired = place === 'path' || required === true;
    if (place !== 'path' && place !== 'query' && place !== 'header') {
      if (isRequired) throw new OperationLeftOut(`needs the ${String(place)} ${name}, which cannot be sent`);
      return [];
    }
    if (schema === undefined) throw new OperationLeftOut(`has the parameter ${name} without a schema`);
    const field = fieldOf(name, place, fields);
    const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
    const isExploded = typeof explode === 'boolean' ? explode : undefined;
    return [{ name, place, field, isRequired, schema, style: text(style), explode: isExploded, description }];
  });
}

/** The name of a parameter in the input: its own, as letters, digits and underscores, of which none stands at its end. Two of the same name differ by their places. */
function fieldOf(name: string, place: string, taken: Set<string>): string {
  const plain = name
    .replaceAll(/[^A-Za-z0-9_]+/g, '_')
    .replace(/(?<=[A-Za-z0-9])_$/, '')
    .replace(/^(?=[0-9])/, '_');
  const field = [plain, `${place}_${plain}`, ...Array.from({ length: 100 }, (_, at) => `${plain}_${at + 2}`)].find(
    (one) => !taken.has(one),
  )!;
  taken.add(field);
  return field;
}

/** The path as a template. @throws OperationLeftOut */
function pathOf(path: string, parameters: readonly Parameter[]): string {
  return path.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => {
    const parameter = parameters.find((one) => one.place === 'path' && one.name === name);
    if (parameter === undefined) throw new OperationLeftOut(`has no parameter for {${name}} in its path`);
    if (parameter.style !== undefined && parameter.style !== 'simple')
      throw new OperationLeftOut(`writes {${name}} in the style ${parameter.style}`);
    return `{input.${parameter.field}}`;
  });
}

/** https://spec.openapis.org/oas/v3.1.1.html#style-values @throws OperationLeftOut, DescriptionRefused */
function queryOf(
  document: OpenApi,
  { name, field, schema, style = 'form', explode = style === 'form' }: Parameter,
): Record<string, string> {
  const { type, properties } = asObject(resolved(document, schema));
  const types = [type].flat();
  const value = `input.${field}`;
  if (types.includes('object') || properties !== undefined) {
    const parts = Object.keys(asObject(properties)).filter((key) => !key.includes('`'));
    if (parts.length === 0 || !(style === 'deepObject' || (style === 'form' && explode)))
      throw new OperationLeftOut(`has the object ${name} in its query, which cannot be written in the style ${style}`);
    return Object.fromEntries(parts.map((key) => [style === 'deepObject' ? `${name}[${key}]` : key, `${value}.\`${key}\``]));
  }
  if (!types.includes('array') || explode) return { [name]: value };
  const separator = { form: ',', spaceDelimited: ' ', pipeDelimited: '|' }[style];
  if (separator === undefined)
    throw new OperationLeftOut(`has the list ${name} in its query, which cannot be written in the style ${style}`);
  return { [name]: `$exists(${value}) ? $join($map(${value}, function($one) { $string($one) }), "${separator}")` };
}

/** @throws OperationLeftOut, DescriptionRefused */
function bodyOf(document: OpenApi, given: unknown): { type: string; schema: unknown } | undefined {
  if (given === undefined) return undefined;
  const content = asObject(asObject(resolved(document, given))['content']);
  const types = Object.keys(content);
  const type = types.find((one) => jsonType.test(one)) ?? types.find((one) => one.startsWith(formType));
  if (type === undefined) throw new OperationLeftOut(`takes ${types.join(', ') || 'nothing'}, and neither JSON nor a form`);
  const plain = type.split(';')[0]!.trim().toLowerCase();
  return { type: plain, schema: asObject(content[type])['schema'] ?? true };
}

/** The output: JSON of any response that means success; null if there is none. @throws DescriptionRefused */
function answerOf(document: OpenApi, responses: unknown): { type: string | undefined; schema: JsonSchema } {
  const schemas = new SchemaMaker(document, 'response');
  const all = asObject(responses);
  const statuses = Object.keys(all).filter((status) => /^2(?:\d\d|XX)$/i.test(status));
  const chosen = statuses.length === 0 && all['default'] !== undefined ? ['default'] : statuses;
  let accept: string | undefined;
  const found = chosen.map((status): Json => {
    const content = asObject(asObject(resolved(document, all[status]))['content']);
    const type = Object.keys(content).find((one) => jsonType.test(one));
    if (Object.keys(content).length === 0) return { type: 'null' };
    if (type === undefined) return true;
    accept ??= type.split(';')[0]!.trim().toLowerCase();
    return schemas.schemaOf(asObject(content[type])['schema'] ?? true);
  });
  const different = [...new Map(found.map((schema) => [JSON.stringify(schema), schema])).values()];
  const schema = different.length === 1 ? asSchema(different[0]!) : different.length === 0 ? {} : { anyOf: different };
  return { type: accept, schema: schemas.whole(schema) };
}
