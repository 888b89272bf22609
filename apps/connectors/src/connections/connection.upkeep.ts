import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Connections, connectionStateTable, connectionStates } from '#libs/connections';
import type { ConnectionState } from '#libs/connections';
import { Configuration, Database } from '#libs/persistence';
import { gauge, logger } from '#libs/tracing';
import { Periodically } from '#libs/work';

const measureEveryMs = 15_000;
const renewIdleEveryMs = 3_600_000;
const forgetEveryMs = 3_600_000;

const counted = gauge('millrace_connections', 'Connections that were used, by tenant and state, as all processes share it.', {
  tenant: 'the tenant',
  state: connectionStates,
});
const log = logger('connections');

/** Keeps connections that nobody uses usable, forgets those that were removed, and counts them. */
@Injectable()
export class ConnectionUpkeep implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly chores: readonly Periodically[];

  constructor(
    private readonly connections: Connections,
    private readonly configuration: Configuration,
    private readonly database: Database,
  ) {
    this.chores = [
      new Periodically('counting connections', measureEveryMs, () => this.measure()),
      new Periodically('renewing idle connections', renewIdleEveryMs, () => this.renewIdle()),
      new Periodically('forgetting removed connections', forgetEveryMs, () => this.forgetRemoved()),
    ];
  }

  onApplicationBootstrap(): void {
    for (const chore of this.chores) chore.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.chores.map((chore) => chore.stop()));
  }

  private async measure(): Promise<void> {
    const rows = await connectionStateTable.countByState(this.database);
    counted.reset();
    for (const tenant of new Set(rows.map((row) => row.tenant))) {
      const countOf = (state: ConnectionState): number => rows.find((row) => row.tenant === tenant && row.state === state)?.count ?? 0;
      for (const state of connectionStates) counted.set({ tenant, state }, countOf(state));
    }
  }

  private async renewIdle(): Promise<void> {
    if (!this.configuration.ready()) return;
    await this.connections.renewIdle((tenant, name) => this.configuration.connection(tenant, name));
  }

  /** The tokens of a connection whose document was removed serve nobody. */
  private async forgetRemoved(): Promise<void> {
    const forgotten = await connectionStateTable.forgetRemoved(this.database);
    for (const { tenant, name } of forgotten) log.info({ tenant, connection: name }, 'the tokens of a removed connection are forgotten');
  }
}
