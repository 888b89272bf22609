import { Mutation, Query, Resolver } from '@nestjs/graphql';
import type { StoredApiKey } from '#libs/auth';
import type { MutationCreateApiKeyArgs, MutationResolvers, MutationRevokeApiKeyArgs, QueryResolvers } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import { ApiKeyService } from './api-key.service.js';

@Resolver()
export class ApiKeyQueries implements Pick<QueryResolvers, 'apiKeys'> {
  constructor(private readonly service: ApiKeyService) {}

  @Query()
  apiKeys(_root: unknown, _args: unknown, { principal }: QueryContext): Promise<StoredApiKey[]> {
    return this.service.list(principal.tenant);
  }
}

@Resolver()
export class ApiKeyMutations implements Pick<MutationResolvers, 'createApiKey' | 'revokeApiKey'> {
  constructor(private readonly service: ApiKeyService) {}

  @Mutation()
  createApiKey(_root: unknown, { input }: MutationCreateApiKeyArgs, { principal }: QueryContext) {
    return answered(async () => ({ __typename: 'CreateApiKeySuccess' as const, ...(await this.service.create(principal, input)) }));
  }

  @Mutation()
  revokeApiKey(_root: unknown, { input }: MutationRevokeApiKeyArgs, { principal }: QueryContext) {
    return answered(async () => ({ __typename: 'RevokeApiKeySuccess' as const, apiKey: await this.service.revoke(principal, input.id) }));
  }
}
