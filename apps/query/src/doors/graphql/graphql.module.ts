import { ApolloDriver } from '@nestjs/apollo';
import type { ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';
import type { DynamicModule } from '@nestjs/common';
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginUsageReportingDisabled } from '@apollo/server/plugin/disabled';
import { GraphQLError, print } from 'graphql';
import type { FastifyRequest } from 'fastify';
import { OperationRunner, handled, resolvedFields } from '../../operations/operation-runner.js';
import type { RequestCredentials } from '../../operations/operation-runner.js';
import { contract, contractSchema } from './contract.js';
import { Executor } from './executor.js';
import { asHttpError, formatted } from './failures.js';
import { standardLimits } from './limits.js';
import { operationsPlugin } from './operations.plugin.js';
import { resolversOf } from './resolvers.js';
import type { GraphQLContext } from './resolvers.js';

export const graphqlPath = '/graphql';

/** GraphQL over HTTP: Apollo on Fastify. Sockets have a server of their own, for Nest's has no limits. */
export function graphqlModule(imports: DynamicModule[]): DynamicModule {
  return GraphQLModule.forRootAsync<ApolloDriverConfig>({
    driver: ApolloDriver,
    imports,
    inject: [OperationRunner, Executor],
    useFactory: (operations: OperationRunner, executor: Executor): ApolloDriverConfig => ({
      path: graphqlPath,
      typeDefs: print(contract),
      resolvers: resolversOf(contractSchema, operations, handled, resolvedFields),
      context: (request: FastifyRequest) => contextOf(operations, request),
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

export function credentialsOf({ headers }: FastifyRequest): RequestCredentials {
  const tenant = headers['millrace-tenant'];
  return { authorization: headers.authorization, tenant: Array.isArray(tenant) ? tenant[0] : tenant };
}

async function contextOf(operations: OperationRunner, request: FastifyRequest): Promise<GraphQLContext> {
  try {
    return await operations.contextFor(credentialsOf(request), () => request.raw.socket.destroyed);
  } catch (error) {
    throw asHttpError(error);
  }
}
