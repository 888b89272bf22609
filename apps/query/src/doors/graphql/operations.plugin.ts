import { HeaderMap } from '@apollo/server';
import type { ApolloServerPlugin, GraphQLRequestContext, GraphQLRequestListener } from '@apollo/server';
import type { GraphQLError, OperationDefinitionNode } from 'graphql';
import { failures } from '#libs/contracts';
import { failureHeaders } from '#libs/service';
import { SpanKind, histogram, inSpan, logger, recordedTraceId, workDone } from '#libs/tracing';
import type { GraphQLContext } from './resolvers.js';
import type { Executed, Executor } from './executor.js';
import { formatted, outageOf, statusOf } from './failures.js';

const log = logger('graphql');
const duration = histogram('millrace_graphql_request_duration_seconds', 'Duration of GraphQL requests, by kind of operation.', {
  operation: ['query', 'mutation', 'subscription', 'none'],
});

type Answer = NonNullable<Awaited<ReturnType<NonNullable<GraphQLRequestListener<GraphQLContext>['responseForOperation']>>>>;

/** Runs operations with our executor, in a span, and ends each in one metric and one log line. */
export function operationsPlugin(executor: Executor): ApolloServerPlugin<GraphQLContext> {
  return {
    async requestDidStart() {
      const startedAt = performance.now();
      return {
        async responseForOperation({ schema, document, operation, request, contextValue: context }) {
          if (document === undefined || operation === undefined) return null;
          return inSpan(`graphql ${operation.operation}`, spanOptions(request.http?.headers, operation), async () =>
            answerOf(
              await executor.execute({
                schema,
                document,
                operation,
                variables: request.variables ?? {},
                context,
              }),
            ),
          );
        },
        async willSendResponse(request) {
          answerLegacyClients(request);
          report(request, performance.now() - startedAt);
        },
      };
    },
  };
}

function spanOptions(headers: HeaderMap | undefined, operation: OperationDefinitionNode) {
  const attributes = { 'graphql.operation.type': operation.operation, 'graphql.operation.name': operation.name?.value ?? '' };
  return { kind: SpanKind.SERVER, parent: headers?.get('traceparent'), attributes };
}

function answerOf(executed: Executed): Answer {
  const headers = new HeaderMap();
  if ('refused' in executed) {
    const errors = executed.refused.map(formatted);
    return { http: { status: statusOf(errors), headers }, body: { kind: 'single', singleResult: { errors } } };
  }
  const { data, errors } = executed.result;
  const failed = errors === undefined ? {} : { errors: (errors as GraphQLError[]).map(formatted) };
  const outage = outageOf(executed.result);
  if (outage === undefined)
    return { http: { status: undefined, headers }, body: { kind: 'single', singleResult: { ...failed, data: data ?? null } } };
  for (const [name, value] of Object.entries(failureHeaders(outage))) headers.set(name, value);
  // Without `data`, because Nest answers a result that has it with 200.
  return { http: { status: failures[outage.code].httpStatus, headers }, body: { kind: 'single', singleResult: failed } };
}

/**
 * Who asks for `application/json` gets 200 for a request that could be read, though its document could not be run.
 * @see https://graphql.github.io/graphql-over-http/draft/#sec-application-json
 */
function answerLegacyClients({ source, request, response }: GraphQLRequestContext<GraphQLContext>): void {
  const modern = request.http?.headers.get('accept')?.includes('application/graphql-response+json') ?? false;
  if (source !== undefined && !modern && response.http.status === 400) response.http.status = 200;
}

function report({ operation, operationName, contextValue, response }: GraphQLRequestContext<GraphQLContext>, durationMs: number): void {
  const kind = operation?.operation ?? 'none';
  duration.observe({ operation: kind }, durationMs / 1_000, recordedTraceId());
  const { tenant, actor } = contextValue.principal;
  const errors = response.body?.kind === 'single' ? response.body.singleResult.errors : undefined;
  const outcome = (errors?.[0]?.extensions?.['code'] as string | undefined) ?? 'ok';
  workDone(log, 'graphql', { outcome, durationMs, tenant, actor, operation: kind, operationName });
}
