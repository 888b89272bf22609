import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, Redeliver } from '#libs/contracts';
import { secondEffect } from '#libs/deliveries';
import { wallTimeMs } from '#libs/time';
import { CommandService, planned } from '../commands/command.service.js';
import { DestinationTable } from '../destinations/destination.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import { redeliver } from './delivery.operations.js';
import type { DeliveryRow, RedeliverInput } from './delivery.operations.js';
import { DeliveryTable } from './delivery.table.js';

@Injectable()
export class RedeliveryService {
  constructor(
    private readonly deliveries: DeliveryTable,
    private readonly destinations: DestinationTable,
    private readonly commands: CommandService,
  ) {}

  /** Orders another attempt of a delivery, in the order of its customer. */
  async redeliver(principal: Principal, input: RedeliverInput): Promise<{ commandId: string; delivery: DeliveryRow }> {
    const { deliveryId, evenIfTaken } = input;
    const { commandIds, result } = await this.commands.issue(principal, redeliver, input, async ({ isRepeat }) => {
      const [delivery] = await this.deliveries.byIds(principal.tenant, [deliveryId]);
      if (!delivery) throw new NotFound('delivery', deliveryId, { field: 'deliveryId' });
      if (!isRepeat) await this.requireOneEffect(principal.tenant, delivery, { field: 'deliveryId', evenIfTaken: evenIfTaken === true });
      const { id, customer } = delivery;
      const payload = { deliveryId: id, evenIfTaken: evenIfTaken === true };
      return { result: delivery, commands: [planned({ type: Redeliver, customer, identity: [id], target: id, payload })] };
    });
    return { commandId: commandIds[0]!, delivery: result };
  }

  /**
   * @param field the path of the input's field that names the delivery
   * @throws InputInvalid if another attempt may take effect a second time, or would overwrite what a newer delivery sets
   */
  async requireOneEffect(
    tenant: string,
    delivery: DeliveryRow,
    { field, evenIfTaken }: { field: string; evenIfTaken: boolean },
  ): Promise<void> {
    const { id, destination, object } = delivery;
    if (object !== null && (await this.deliveries.isSuperseded(tenant, id))) {
      const message = `is ${id}, whose object ${object} a newer delivery sets: skip this one`;
      throw new InputInvalid([{ path: [field], message }], 'delivery.superseded');
    }
    if (evenIfTaken || delivery.reachedAt === null) return;
    const rules = await this.destinations.rulesOf(tenant, destination);
    const why = rules === undefined ? undefined : secondEffect(rules, delivery, wallTimeMs());
    if (why === undefined) return;
    const message = `is ${id}, which ${destination} took or may have taken, and ${destination} ${why}: \`redeliver\` with \`evenIfTaken: true\` sends it all the same (millrace deliveries redeliver ${id} --even-if-taken)`;
    throw new InputInvalid([{ path: [field], message }], 'delivery.secondEffect');
  }
}
