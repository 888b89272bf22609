import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Connections } from '#libs/connections';
import { Configuration } from '#libs/persistence';
import { logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { DeliveryWorker } from '../deliveries/delivery.worker.js';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';

/** How often is looked for changes whose notice was lost, in ms. */
const lookEveryMs = 15_000;

const log = logger('destinations');

/** Lets deliveries go on once the connection of their destination works again. */
@Injectable()
export class WaitingDestinations implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly looks = new Periodically('looking for connections that work again', lookEveryMs, () => this.resume());
  private stopListening: () => void = () => undefined;
  private resuming: Promise<void> = Promise.resolve();

  constructor(
    private readonly connections: Connections,
    private readonly configuration: Configuration,
    private readonly health: DestinationHealthTable,
    private readonly worker: DeliveryWorker,
  ) {}

  onApplicationBootstrap(): void {
    this.stopListening = this.connections.onChange(() => {
      this.resuming = this.resuming
        .then(() => this.resume())
        .catch((error: unknown) => log.warn({ err: error }, 'what waits for a connection is looked at later'));
    });
    this.looks.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopListening();
    await this.looks.stop();
    await this.resuming;
  }

  /** Never wakes the worker for a destination whose connection still waits. */
  async resume(): Promise<void> {
    if (!this.configuration.ready()) return;
    let isResumed = false;
    for (const waiting of await this.health.waiting()) {
      const { tenant, destination } = waiting;
      const spec = this.configuration.destination(tenant, destination)?.document.spec;
      const connection = spec?.kind === 'operation' ? this.configuration.connection(tenant, spec.connection) : undefined;
      if (connection === undefined) continue;
      if (!(await this.health.resume(waiting, { name: connection.name, documentVersion: connection.version }))) continue;
      log.info({ tenant, destination, connection: connection.name }, 'deliveries go on: their connection works again');
      isResumed = true;
    }
    if (isResumed) this.worker.wakeUp();
  }
}
