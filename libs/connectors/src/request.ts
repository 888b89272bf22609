import type { OperationRequest } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { OperationScope, RequestParts } from './connector.js';
import { formBody } from './form-body.js';
import { InputRefused } from './operation.errors.js';
import { soqlOf } from './soql.js';
import { checkedForHeader, compileOptionalTemplate, compileTemplate, encodedForPath, plainText } from './template.js';

/** Makes the parts of a request. @throws InputRefused, ExpressionFailed, EvaluationsBusy */
export type CompiledRequest = (scope: OperationScope) => Promise<RequestParts>;

type QueryValue = (scope: OperationScope) => unknown;

/** Compiles the request of an operation. */
export function compileRequest(
  request: OperationRequest,
  commonHeaders: Readonly<Record<string, string>>,
  options: { readonly owner: string },
): CompiledRequest {
  const expression = (text: string): Expression => compileExpression(text, options);
  const path = compileTemplate(request.path, encodedForPath);
  const query = Object.entries(request.query).map(([name, value]) => [name, compileQueryValue(value, expression)] as const);
  const headers = Object.entries({ ...lowerCased(commonHeaders), ...lowerCased(request.headers) }).map(
    ([name, text]) => [name, compileOptionalTemplate(text, checkedForHeader)] as const,
  );
  const body = compileBody(request, expression);
  return async (scope) => {
    const parameters: [string, string][] = [];
    for (const [name, value] of query) parameters.push(...parametersOf(name, await value(scope)));
    const made = await body(scope);
    return {
      method: request.method,
      path: path(scope),
      query: parameters,
      headers: { ...(made === undefined ? {} : { 'content-type': made.type }), ...headersOf(headers, scope) },
      body: made?.text,
    };
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, text]) => [name.toLowerCase(), text]));
}

type Header = readonly [name: string, text: (scope: OperationScope) => string | undefined];

function headersOf(headers: readonly Header[], scope: OperationScope): Record<string, string> {
  const made = headers.map(([name, text]) => [name, text(scope)] as const);
  return Object.fromEntries(made.filter((header): header is readonly [string, string] => header[1] !== undefined));
}

function compileQueryValue(value: OperationRequest['query'][string], expression: (text: string) => Expression): QueryValue {
  if (typeof value === 'string') {
    const compiled = expression(value);
    return (scope) => compiled.evaluate(scope);
  }
  if (typeof value !== 'object') return () => value;
  if ('soqlFrom' in value) return compileGivenSoql(value, expression);
  const values = Object.entries(value.values).map(([name, text]) => [name, expression(text)] as const);
  return async (scope) => {
    const found = new Map<string, unknown>();
    for (const [name, compiled] of values) found.set(name, await compiled.evaluate(scope));
    return soqlOf(value.soql, found);
  };
}

function compileGivenSoql(given: { soqlFrom: string; valuesFrom: string }, expression: (text: string) => Expression): QueryValue {
  const [text, values] = [expression(given.soqlFrom), expression(given.valuesFrom)];
  return async (scope) => {
    const query = await text.evaluate(scope);
    if (typeof query !== 'string') throw new InputRefused('The query is no text');
    return soqlOf(query, new Map(Object.entries((await values.evaluate(scope)) ?? {})));
  };
}

/** @throws InputRefused */
function parametersOf(name: string, value: unknown): [string, string][] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((item) => {
    const text = plainText(item);
    if (text === undefined) throw new InputRefused(`The query parameter ${name} is neither text nor a number`);
    if (!text.isWellFormed()) throw new InputRefused(`The query parameter ${name} is no text: half of a character is missing`);
    return [name, text];
  });
}

interface Body {
  readonly type: string;
  readonly text: string;
}

function compileBody(
  { body, form, graphql }: OperationRequest,
  expression: (text: string) => Expression,
): (scope: OperationScope) => Promise<Body | undefined> {
  if (graphql !== undefined) {
    const variables = expression(graphql.variables ?? 'input');
    return async (scope) => jsonBody({ query: graphql.document, variables: (await variables.evaluate(scope)) ?? {} });
  }
  const made = body ?? form;
  if (made === undefined) return async () => undefined;
  const compiled = expression(made);
  return async (scope) => {
    const value = await compiled.evaluate(scope);
    if (value === undefined) throw new InputRefused('The body of the request has no value');
    return form === undefined ? jsonBody(value) : { type: 'application/x-www-form-urlencoded', text: formBody(value) };
  };
}

function jsonBody(value: Json): Body {
  return { type: 'application/json', text: JSON.stringify(value) };
}
