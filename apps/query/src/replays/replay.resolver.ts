import { Mutation, Resolver } from '@nestjs/graphql';
import type { MutationReplayEventsArgs, MutationResolvers } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import { ReplayService } from './replay.service.js';

@Resolver()
export class ReplayMutations implements Pick<MutationResolvers, 'replayEvents'> {
  constructor(private readonly replays: ReplayService) {}

  @Mutation()
  replayEvents(_root: unknown, { input }: MutationReplayEventsArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'ReplayEventsSuccess' as const,
      ...(await this.replays.replay(principal, input)),
    }));
  }
}
