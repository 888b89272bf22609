import { Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { DeliveryRow } from '../deliveries/delivery.table.js';
import type { EventRow } from '../events/event.table.js';
import type {
  DecisionResolvers,
  ModelAttemptResolvers,
  QueryResolvers,
  QueryRunArgs,
  QueryRunsArgs,
  RunResolvers,
  StepResolvers,
  TokenUsage,
} from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { RunTable, usageOf } from './run.table.js';
import type { ModelAttemptRow, RunPage, RunRow, StepRow } from './run.table.js';

@Resolver()
export class RunQueries implements Pick<QueryResolvers, 'run' | 'runs'> {
  constructor(private readonly table: RunTable) {}

  @Query()
  run(_root: unknown, { id }: QueryRunArgs, { loaders }: QueryContext): Promise<RunRow | null> {
    return loaders.run.load(id);
  }

  @Query()
  runs(_root: unknown, { filter, ...page }: QueryRunsArgs, { principal }: QueryContext): Promise<RunPage> {
    return this.table.page(principal.tenant, filter ?? {}, page);
  }
}

@Resolver('Run')
export class RunResolver implements RunResolvers {
  /** A run never stands without its event: it is recorded before any flow takes it up. */
  @ResolveField()
  async event({ eventId }: RunRow, _args: unknown, { loaders }: QueryContext): Promise<EventRow> {
    return (await loaders.event.load(eventId))!;
  }

  @ResolveField()
  steps({ id }: RunRow, _args: unknown, { loaders }: QueryContext): Promise<StepRow[]> {
    return loaders.stepsOfRun.load(id);
  }

  @ResolveField()
  modelAttempts({ id }: RunRow, _args: unknown, { loaders }: QueryContext): Promise<ModelAttemptRow[]> {
    return loaders.modelAttemptsOfRun.load(id);
  }

  @ResolveField()
  deliveries({ id }: RunRow, _args: unknown, { loaders }: QueryContext): Promise<DeliveryRow[]> {
    return loaders.deliveriesOfRun.load(id);
  }
}

@Resolver('Decision')
export class DecisionResolver implements DecisionResolvers {
  @ResolveField()
  value(run: RunRow): unknown {
    return run.decision;
  }

  @ResolveField()
  decidedAt(run: RunRow): Date {
    return run.finishedAt ?? run.startedAt;
  }

  @ResolveField()
  run(run: RunRow): RunRow {
    return run;
  }
}

@Resolver('Step')
export class StepResolver implements StepResolvers {
  @ResolveField()
  usage(step: StepRow): TokenUsage | null {
    return usageOf(step);
  }
}

@Resolver('ModelAttempt')
export class ModelAttemptResolver implements ModelAttemptResolvers {
  @ResolveField()
  usage(attempt: ModelAttemptRow): TokenUsage | null {
    return usageOf(attempt);
  }
}
