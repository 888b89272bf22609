import { HeaderMap } from '@apollo/server';
import { ApolloServerErrorCode } from '@apollo/server/errors';
import { GraphQLError } from 'graphql';
import type { ExecutionResult, GraphQLFormattedError } from 'graphql';
import { DomainError, failures } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';
import { failureHeaders } from '#libs/service';
import { counter, logger } from '#libs/tracing';
import { argumentOf, namingArgument } from './argument.place.js';

const log = logger('graphql');
const failed = counter('millrace_graphql_errors_total', 'Errors answered by GraphQL, by code.', { code: 'a code of failures.md' });

/** GraphQL's own refusals, in our words. */
const ownCodes: Record<string, FailureCode> = {
  [ApolloServerErrorCode.GRAPHQL_PARSE_FAILED]: 'request.malformed',
  [ApolloServerErrorCode.BAD_REQUEST]: 'request.malformed',
  [ApolloServerErrorCode.GRAPHQL_VALIDATION_FAILED]: 'request.invalid',
  [ApolloServerErrorCode.BAD_USER_INPUT]: 'request.invalid',
  [ApolloServerErrorCode.OPERATION_RESOLUTION_FAILURE]: 'request.invalid',
};

/** One entry of `errors[]`. A defect is logged with its stack, and the entry says nothing of its cause. */
export function formatted(error: GraphQLError): GraphQLFormattedError {
  const { message, locations, path } = error.toJSON();
  const cause = rootCause(error);
  const place = { ...(locations === undefined ? {} : { locations }), ...(path === undefined ? {} : { path }) };
  if (cause instanceof DomainError) return { message: cause.publicMessage, ...place, extensions: describe(cause) };
  if (cause instanceof GraphQLError) {
    const argument = argumentOf(error);
    if (argument === undefined) return { message, ...place, extensions: counted(codeOf(error)) };
    return { message: namingArgument(error, cause, argument), ...place, extensions: { ...counted(codeOf(error)), argument } };
  }
  log.error({ err: cause, path }, 'a field failed by a defect');
  return { message: failures['request.defect'].title, ...place, extensions: counted('request.defect') };
}

function rootCause(error: Error): Error {
  return error instanceof GraphQLError && error.originalError != null ? rootCause(error.originalError) : error;
}

function describe(error: DomainError): Record<string, unknown> {
  return {
    ...counted(error.code),
    ...(error.field === undefined ? {} : { argument: error.field }),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  };
}

function counted(code: FailureCode): { code: FailureCode; outcome: string } {
  failed.inc({ code });
  return { code, outcome: failures[code].outcome };
}

/** A refusal of GraphQL without a code, such as a variable that does not fit, is the caller's fault. */
function codeOf(error: GraphQLError): FailureCode {
  const code: unknown = error.extensions?.['code'];
  if (typeof code !== 'string') return 'request.invalid';
  return code in failures ? (code as FailureCode) : (ownCodes[code] ?? 'request.invalid');
}

/** A failure before there is an operation, as an HTTP response of its own. */
export function asHttpError(error: unknown): unknown {
  if (!(error instanceof DomainError)) return error;
  const headers = new HeaderMap(Object.entries(failureHeaders(error)));
  const http = { status: failures[error.code].httpStatus, headers };
  return new GraphQLError(error.message, { originalError: error, extensions: { code: error.code, http } });
}

/**
 * The failure of a result that holds nothing because something that we need is away: it is answered as that failure, with its status and `Retry-After`,
 * so that what stands between knows too. Undefined for any other result; a part that could be read is worth a 200.
 */
export function outageOf({ data, errors = [] }: ExecutionResult): DomainError | undefined {
  if (data != null && Object.values(data).some((value) => value !== null)) return undefined;
  const causes = errors.map(rootCause);
  const areOutages = causes.every((cause) => cause instanceof DomainError && cause.outcome === 'retry');
  return areOutages ? (causes[0] as DomainError | undefined) : undefined;
}

/** The status of a response that holds only errors: the first one's. */
export function statusOf([first]: readonly GraphQLFormattedError[]): number {
  return failures[first!.extensions!['code'] as FailureCode].httpStatus;
}
