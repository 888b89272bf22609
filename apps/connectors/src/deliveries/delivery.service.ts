import { Injectable } from '@nestjs/common';
import { NotFound, deliveryId, isUnnamedCustomer } from '#libs/contracts';
import type { Redeliver, RunCompleted, SkipDeadLetter } from '#libs/contracts';
import { BatchWriter, Configuration } from '#libs/persistence';
import { DeliveryBusy } from './delivery.errors.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { CommandEffect, NewDelivery } from './delivery-queue.table.js';
import { DeliveryWorker } from './delivery.worker.js';

/** Plans the deliveries of a decision, and applies commands to deliveries. */
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

  /** A decision that comes twice gives one set of deliveries: their ids follow from the run. */
  async plan(run: RunCompleted, traceparent: string | undefined): Promise<void> {
    if (run.deliveries.length === 0) return;
    const { tenant, eventId, runId, flow, generation, customer, eventReceivedAt } = run;
    await this.writer.add(
      run.deliveries.map(({ step, destination, payload }) => ({
        tenant,
        id: deliveryId(run, step, destination),
        eventId,
        runId,
        flow,
        generation,
        step,
        customer,
        destination,
        payload: JSON.stringify(payload),
        strict: this.isStrict(tenant, destination, customer),
        traceparent,
        eventReceivedAt,
      })),
    );
  }

  /** @throws NotFound, DeliveryBusy */
  async redeliver({ tenant, deliveryId: id, commandId }: Redeliver): Promise<void> {
    this.applied(id, await this.table.restart(tenant, id, commandId));
  }

  /**
   * Skips a parked delivery. One that was delivered or redelivered since its dead letter was written stays as it is.
   * @throws NotFound
   */
  async skip({ tenant, kind, deliveryId: id, commandId }: SkipDeadLetter): Promise<void> {
    if (kind !== 'delivery' || id === null) return;
    this.applied(id, await this.table.skip(tenant, id, commandId));
  }

  /** The order of an unnamed customer is nobody's, so a parked delivery never blocks those behind it. */
  private isStrict(tenant: string, destination: string, customer: string): boolean {
    return !isUnnamedCustomer(customer) && this.configuration.destination(tenant, destination)?.document.spec.order === 'strict';
  }

  private applied(id: string, effect: CommandEffect): void {
    if (effect === 'unknown') throw new NotFound('delivery', id);
    if (effect === 'busy') throw new DeliveryBusy(id);
    this.worker.wakeUp();
  }

  private async insert(batch: readonly (readonly NewDelivery[])[]): Promise<void> {
    const added = await this.table.insert(batch.flat());
    if (added > 0) this.worker.wakeUp();
  }
}
