import { Injectable } from '@nestjs/common';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { GraphQLError, OperationTypeNode, getOperationAST, parse, validate } from 'graphql';
import type { ExecutionArgs } from 'graphql';
import { DomainError } from '#libs/contracts';
import { startInterval } from '#libs/time';
import { logger } from '#libs/tracing';
import { OperationRunner } from '../../operations/operation-runner.js';
import type { RequestCredentials } from '../../operations/operation-runner.js';
import { Executor } from './executor.js';
import { standardLimits } from './limits.js';
import type { GraphQLContext } from './resolvers.js';

/** A subscription as a socket or an event stream asks for it. */
export interface SubscriptionRequest {
  readonly query: string;
  readonly variables?: Record<string, unknown> | null | undefined;
  readonly operationName?: string | null | undefined;
}

/** The largest request for a subscription. */
export const maxSubscriptionBytes = 64 * 1_024;
/** Subscriptions of one socket, and event streams of one key in one process. */
export const maxSubscriptions = 20;
/** The end of a key's subscriptions after it was revoked or expired. */
const recheckMs = 15_000;

const log = logger('subscriptions');

/** The rules of every door that carries subscriptions: what is accepted, within which limits, and for how long a key counts. */
@Injectable()
export class Subscriptions {
  constructor(
    private readonly schemaHost: GraphQLSchemaHost,
    private readonly runner: OperationRunner,
    private readonly executor: Executor,
  ) {}

  /** The subscription, ready to be executed; or everything that is wrong with the request. */
  prepare({ query, variables, operationName }: SubscriptionRequest, contextValue: GraphQLContext): ExecutionArgs | readonly GraphQLError[] {
    const { schema } = this.schemaHost;
    try {
      const document = parse(query, { maxTokens: standardLimits.maxTokens });
      const invalid = validate(schema, document);
      if (invalid.length > 0) return invalid;
      const operation = getOperationAST(document, operationName);
      if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) {
        return [
          refusal('request.invalid', 'Only subscriptions run over a stream; send everything else as a request that gets one response'),
        ];
      }
      const given = variables ?? {};
      const errors = this.executor.check({ schema, document, operation, variables: given });
      return errors.length > 0 ? errors : { schema, document, operationName, variableValues: given, contextValue };
    } catch (error) {
      if (error instanceof GraphQLError) return [error];
      throw error;
    }
  }

  /**
   * Checks the key at intervals until the timer is cleared. Only a refusal counts: an unavailable configuration says nothing about the key.
   * @param onRefused is called when the key no longer counts
   */
  recheck(credentials: RequestCredentials, onRefused: (error: DomainError) => void): NodeJS.Timeout {
    const check = async (): Promise<void> => {
      try {
        await this.runner.contextFor(credentials);
      } catch (error) {
        if (error instanceof DomainError && error.outcome === 'reject') onRefused(error);
        else log.warn({ err: error }, 'the key of a subscription could not be checked');
      }
    };
    return startInterval(() => void check(), recheckMs).unref();
  }
}

export function refusal(code: string, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code } });
}
