import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { GraphQLError } from 'graphql';
import { DomainError, failures } from '#libs/contracts';
import { AllowedOrigins, Doors, OriginForbidden, failureHeaders } from '#libs/service';
import type { DoorResponse, Guard } from '#libs/service';
import { OperationRunner } from '../../operations/operation-runner.js';
import { formatted } from './failures.js';
import { graphqlPath } from './graphql.module.js';

/** Checks the key of a GraphQL request before its body is read, and says which web pages may call. */
@Injectable()
export class GraphqlGuard implements Guard {
  readonly path = graphqlPath;

  constructor(
    private readonly runner: OperationRunner,
    private readonly origins: AllowedOrigins,
    doors: Doors,
  ) {
    doors.guard(this);
  }

  async refusal({ method, headers }: IncomingMessage, response: ServerResponse): Promise<DoorResponse | undefined> {
    this.allowOrigin(headers, response);
    if (method === 'OPTIONS') return this.options(headers);
    if (method !== 'POST') return undefined;
    const tenant = headers['millrace-tenant'];
    try {
      await this.runner.contextFor({ authorization: headers.authorization, tenant: Array.isArray(tenant) ? tenant[0] : tenant });
      return undefined;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return refusalOf(error, headers.accept);
    }
  }

  /** Lets pages of allowed origins read the response (https://fetch.spec.whatwg.org/#http-cors-protocol). */
  private allowOrigin(headers: IncomingHttpHeaders, response: ServerResponse): void {
    response.setHeader('vary', 'origin');
    if (headers.origin === undefined || !this.origins.allows(headers)) return;
    response.setHeader('access-control-allow-origin', headers.origin);
    response.setHeader('access-control-expose-headers', 'retry-after, www-authenticate');
  }

  /** @throws OriginForbidden for the preflight request of a page that may not call */
  private options(headers: IncomingHttpHeaders): DoorResponse {
    const allow = { allow: 'GET, HEAD, POST, OPTIONS' };
    if (headers['access-control-request-method'] === undefined) return { status: 204, body: '', headers: allow };
    if (!this.origins.allows(headers)) throw new OriginForbidden();
    return { status: 204, body: '', headers: { ...allow, ...preflight } };
  }
}

const preflight = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers':
    'authorization, content-type, accept, millrace-tenant, traceparent, x-apollo-operation-name, apollo-require-preflight',
  'access-control-max-age': '600',
};

/** A failure before there is an operation, as GraphQL over HTTP reports it. */
function refusalOf(error: DomainError, accept: string | undefined): DoorResponse {
  const mediaType = accept?.includes('application/graphql-response+json') ? 'application/graphql-response+json' : 'application/json';
  return {
    status: failures[error.code].httpStatus,
    headers: { ...failureHeaders(error), 'content-type': `${mediaType}; charset=utf-8` },
    body: { errors: [formatted(new GraphQLError(error.message, { originalError: error }))] },
  };
}
