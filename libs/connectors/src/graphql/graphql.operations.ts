import type { Json } from '#libs/json';
import type { CodedOperations, OperationScope, RequestParts } from '../connector.js';

/** The input, which fits the schema of the manifest. */
interface Input {
  readonly document: string;
  readonly variables?: Json;
  readonly operationName?: string;
}

export const graphqlOperations: CodedOperations = { query: requestOf, mutate: requestOf };

function requestOf({ input }: OperationScope): RequestParts {
  const { document: query, variables = {}, operationName } = input as unknown as Input;
  return {
    method: 'POST',
    path: '',
    query: [],
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json;q=0.9' },
    body: JSON.stringify({ query, variables, operationName }),
  };
}
