import { isEnumType, isObjectType } from 'graphql';
import type { GraphQLFieldResolver, GraphQLSchema } from 'graphql';
import type { Page } from '../../paging/paging.js';
import { nodeKindOf } from '../../operations/operation-runner.js';
import type { OperationRunner } from '../../operations/operation-runner.js';
import type { Handled, OperationContext, ResolvedFields } from '../../operations/part.js';
import { internalValue } from './enum-values.js';
import { resultOf } from './command-results.js';
import { DateTime, JSONValue } from './scalars.js';
import { entityName } from './sdl.js';

/** The door's context: the context of the operations that a request runs. */
export type GraphQLContext = OperationContext;

type FieldResolver = GraphQLFieldResolver<unknown, GraphQLContext>;

/** The resolvers that the operations and the resolved fields of entities amount to. Other fields are read off the row. */
export function resolversOf(
  schema: GraphQLSchema,
  operations: OperationRunner,
  handled: readonly Handled[],
  resolved: readonly ResolvedFields[],
): Record<string, object> {
  const roots = { Query: {}, Mutation: {}, Subscription: {} } as Record<string, Record<string, unknown>>;
  for (const each of handled) {
    const { kind, name } = each.operation;
    if (kind === 'query') roots['Query']![name] = ((_root, input, context) => operations.run(each, context, input)) satisfies FieldResolver;
    if (kind === 'command') roots['Mutation']![name] = commandResolver(operations, each);
    if (kind === 'subscription') roots['Subscription']![name] = subscriptionResolver(operations, each);
  }
  const fields: Record<string, Record<string, FieldResolver>> = {};
  for (const { entity, fields: given } of resolved) {
    const type = (fields[entityName(entity)] ??= {});
    for (const [name, { resolve }] of Object.entries(given)) type[name] = (row, _args, context) => resolve(row as never, context);
  }
  return {
    DateTime,
    JSON: JSONValue,
    ...roots,
    ...fields,
    ...ofTypes(schema),
    Node: { __resolveType: ({ id }: { id: string }) => entityName(nodeKindOf(id)!.entity) },
  };
}

function commandResolver(operations: OperationRunner, handled: Handled): FieldResolver {
  return (_root, { input }, context) => resultOf(handled.operation, async () => operations.run(handled, context, input) as Promise<object>);
}

/** The stream yields batches, whose items `subscribeInBatches` resolves. The last item of a stream that broke off is an error. */
function subscriptionResolver(operations: OperationRunner, handled: Handled): { subscribe: FieldResolver; resolve: FieldResolver } {
  return {
    subscribe: (_root, input, context) => operations.run(handled, context, input),
    resolve: (item) => {
      if (item instanceof Error) throw item;
      return item;
    },
  };
}

/** The inner form of enum values, and counting where a list's `totalCount` is selected. */
function ofTypes(schema: GraphQLSchema): Record<string, object> {
  const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));
  const enums = types.filter(isEnumType).map((type) => {
    const names = type.getValues().map(({ name }) => name);
    return [type.name, Object.fromEntries(names.map((name) => [name, internalValue(name)]))] as const;
  });
  const connections = types
    .filter((type) => isObjectType(type) && 'totalCount' in type.getFields())
    .map(({ name }) => [name, counting] as const);
  return Object.fromEntries<object>([...enums, ...connections]);
}

const counting = { totalCount: (page: Page<unknown>) => page.count() };
