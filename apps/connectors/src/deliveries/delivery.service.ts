import { Injectable } from '@nestjs/common';
import { deliveryId } from '#libs/contracts';
import type { Redeliver, RunCompleted } from '#libs/contracts';
import { BatchWriter, Configuration } from '#libs/persistence';
import { DeliveryBusy, DeliveryUnknown } from './delivery.errors.js';
import { DeliveryTable } from './delivery.table.js';
import type { NewDelivery } from './delivery.table.js';
import { DeliveryWorker } from './delivery.worker.js';

/** Turns decisions into deliveries, and starts them. */
@Injectable()
export class DeliveryService {
  private readonly writer: BatchWriter<readonly NewDelivery[], void>;

  constructor(
    private readonly table: DeliveryTable,
    private readonly configuration: Configuration,
    private readonly worker: DeliveryWorker,
  ) {
    this.writer = new BatchWriter({ maxBatch: 100, lingerMs: 1, write: (batch) => this.insert(batch) });
  }

  /** Ids are derived from the run, so the same decision twice is one set of deliveries. */
  async plan(run: RunCompleted, traceparent: string | undefined): Promise<void> {
    if (run.deliveries.length === 0) return;
    const { tenant, eventId, runId, flow, generation, customer, eventReceivedAt } = run;
    await this.writer.add(
      run.deliveries.map(({ step, destination, payload }) => ({
        tenant,
        id: deliveryId(tenant, eventId, flow, step, destination, generation),
        eventId,
        runId,
        flow,
        generation,
        step,
        customer,
        destination,
        payload: JSON.stringify(payload),
        retries: this.retriesOf(tenant, destination),
        traceparent,
        eventReceivedAt,
      })),
    );
  }

  /** @throws DeliveryUnknown, DeliveryBusy */
  async redeliver({ tenant, deliveryId: id, commandId }: Redeliver): Promise<void> {
    const answer = await this.table.restart(tenant, id, commandId, (destination) => this.retriesOf(tenant, destination));
    if (answer === 'unknown') throw new DeliveryUnknown(tenant, id);
    if (answer === 'busy') throw new DeliveryBusy(id);
    this.worker.wakeUp();
  }

  private async insert(batch: readonly (readonly NewDelivery[])[]): Promise<void[]> {
    const added = await this.table.insert(batch.flat());
    if (added > 0) this.worker.wakeUp();
    return batch.map(() => undefined);
  }

  /** None for a destination that is not there: the one attempt then finds that out and parks the delivery. */
  private retriesOf(tenant: string, destination: string): number {
    return this.configuration.destination(tenant, destination)?.document.spec.retry.retries ?? 0;
  }
}
