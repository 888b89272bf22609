import { ApolloDriver } from '@nestjs/apollo';
import type { ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';
import type { DynamicModule } from '@nestjs/common';
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginUsageReportingDisabled } from '@apollo/server/plugin/disabled';
import { isEnumType, isObjectType } from 'graphql';
import type { FastifyRequest } from 'fastify';
import type { Connection } from '../paging/paging.js';
import { ContextFactory } from './context.js';
import type { QueryContext } from './context.js';
import { internalValue } from './enum-values.js';
import { Executor } from './executor.js';
import { asHttpError, formatted } from './failures.js';
import { standardLimits } from './limits.js';
import { operationsPlugin } from './operations.plugin.js';
import { DateTime, JSONValue } from './scalars.js';
import { enforceScopes } from './scopes.js';
import { readSdl } from './sdl.js';
import { GraphQLError, buildSchema } from 'graphql';

export const graphqlPath = '/graphql';

/** GraphQL over HTTP: Apollo on Fastify. Sockets have a server of their own, for Nest's has no limits. */
export function graphqlModule(imports: DynamicModule[]): DynamicModule {
  return GraphQLModule.forRootAsync<ApolloDriverConfig>({
    driver: ApolloDriver,
    imports,
    inject: [ContextFactory, Executor],
    useFactory: (contexts: ContextFactory, executor: Executor): ApolloDriverConfig => ({
      path: graphqlPath,
      typeDefs: readSdl(),
      resolvers: { DateTime, JSON: JSONValue, ...resolversOfTypes() },
      transformSchema: enforceScopes,
      context: (request: FastifyRequest) => contextOf(contexts, request),
      formatError: (_formatted, error) =>
        formatted(error instanceof GraphQLError ? error : new GraphQLError('', { originalError: error as Error })),
      autoTransformHttpErrors: false,
      plugins: [operationsPlugin(executor), ApolloServerPluginCacheControlDisabled(), ApolloServerPluginUsageReportingDisabled()],
      // Before that, sockets are still open, and the drain that Apollo begins its stop with waits for them.
      stopOnApplicationShutdown: true,
      introspection: true,
      graphiql: false,
      includeStacktraceInErrorResponses: false,
      persistedQueries: false,
      allowBatchedHttpRequests: false,
      maxRecursiveSelections: true,
      parseOptions: { maxTokens: standardLimits.maxTokens },
      // Browsers send none of these across origins without asking first; our callers always send one.
      csrfPrevention: { requestHeaders: ['authorization', 'x-apollo-operation-name', 'apollo-require-preflight'] },
    }),
  });
}

async function contextOf(contexts: ContextFactory, { headers }: FastifyRequest): Promise<QueryContext> {
  const tenant = headers['millrace-tenant'];
  try {
    return await contexts.authenticated({ authorization: headers.authorization, tenant: Array.isArray(tenant) ? tenant[0] : tenant });
  } catch (error) {
    throw asHttpError(error);
  }
}

/** What follows from the SDL alone: the inner form of enum values, and counting where a list's `totalCount` is selected. */
function resolversOfTypes(): Record<string, object> {
  const types = Object.values(buildSchema(readSdl()).getTypeMap()).filter(({ name }) => !name.startsWith('__'));
  const enums = types.filter(isEnumType).map((type) => [type.name, innerValues(type.getValues().map(({ name }) => name))] as const);
  const connections = types
    .filter((type) => isObjectType(type) && 'totalCount' in type.getFields())
    .map(({ name }) => [name, counting] as const);
  return Object.fromEntries<object>([...enums, ...connections]);
}

const innerValues = (names: string[]): Record<string, string> => Object.fromEntries(names.map((name) => [name, internalValue(name)]));
const counting = { totalCount: (connection: Connection<unknown>) => connection.count() };
