import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { GraphQLError } from 'graphql';
import { DomainError, failures } from '#libs/contracts';
import { Doors, failureHeaders } from '#libs/service';
import type { DoorResponse, Guard } from '#libs/service';
import { OperationRunner } from '../../operations/operation-runner.js';
import { formatted } from './failures.js';
import { graphqlPath } from './graphql.module.js';

/** Checks the key of a GraphQL request before its body is read. */
@Injectable()
export class GraphqlGuard implements Guard {
  readonly path = graphqlPath;

  constructor(
    private readonly runner: OperationRunner,
    doors: Doors,
  ) {
    doors.guard(this);
  }

  async refusal({ method, headers }: IncomingMessage): Promise<DoorResponse | undefined> {
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
}

/** A failure before there is an operation, as GraphQL over HTTP reports it. */
function refusalOf(error: DomainError, accept: string | undefined): DoorResponse {
  const mediaType = accept?.includes('application/graphql-response+json') ? 'application/graphql-response+json' : 'application/json';
  return {
    status: failures[error.code].httpStatus,
    headers: { ...failureHeaders(error), 'content-type': `${mediaType}; charset=utf-8` },
    body: { errors: [formatted(new GraphQLError(error.message, { originalError: error }))] },
  };
}
