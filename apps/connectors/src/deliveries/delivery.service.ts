import { Injectable } from '@nestjs/common';
import { NotFound } from '#libs/contracts';
import type { Redeliver, RunCompleted, SkipDeadLetter } from '#libs/contracts';
import { newDeliveries } from '#libs/deliveries';
import type { NewDelivery } from '#libs/deliveries';
import { BatchWriter, Configuration } from '#libs/persistence';
import { DeliveryBusy } from './delivery.errors.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { CommandEffect } from './delivery-queue.table.js';
import { DeliveryWorker } from './delivery.worker.js';

/** Applies commands to deliveries, and plans those of default decisions and of older builds. */
@Injectable()
export class DeliveryService {
  private readonly writer: BatchWriter<readonly NewDelivery[], void>;

  constructor(
    private readonly table: DeliveryQueueTable,
    private readonly configuration: Configuration,
    private readonly worker: DeliveryWorker,
  ) {
    this.writer = new BatchWriter({ maxBatch: 100, lingerMs: 1, write: (batch) => this.insert(batch) });
  }

  /** Plans the deliveries of a default decision, or of a run that an older build ended. All others are planned by the statement that ends the run. */
  async plan(run: RunCompleted, traceparent: string | undefined): Promise<void> {
    if (run.deliveries.length === 0) return;
    await this.writer.add(await newDeliveries(run, run.deliveries, traceparent, this.configuration));
  }

  /** @throws NotFound, DeliveryBusy */
  async redeliver({ tenant, deliveryId: id, commandId, evenIfTaken = false }: Redeliver): Promise<void> {
    this.applied(id, await this.table.restart(tenant, id, commandId, evenIfTaken));
  }

  /**
   * Skips a parked delivery. One that was delivered or redelivered since its dead letter was written stays as it is.
   * @throws NotFound
   */
  async skip({ tenant, kind, deliveryId: id, commandId }: SkipDeadLetter): Promise<void> {
    if (kind !== 'delivery' || id === null) return;
    this.applied(id, await this.table.skip(tenant, id, commandId));
  }

  private applied(id: string, effect: CommandEffect): void {
    if (effect === 'unknown') throw new NotFound('delivery', id);
    if (effect === 'busy') throw new DeliveryBusy(id);
    this.worker.wakeUp();
  }

  private async insert(batch: readonly (readonly NewDelivery[])[]): Promise<void> {
    await this.table.insert(batch.flat());
  }
}
