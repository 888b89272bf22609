import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, Redeliver } from '#libs/contracts';
import { CommandService, planned } from '../commands/command.service.js';
import { redeliver } from './delivery.operations.js';
import type { DeliveryRow, RedeliverInput } from './delivery.operations.js';
import { DeliveryTable } from './delivery.table.js';

@Injectable()
export class RedeliveryService {
  constructor(
    private readonly deliveries: DeliveryTable,
    private readonly commands: CommandService,
  ) {}

  /** Orders another attempt of a delivery, in the order of its customer. */
  async redeliver(principal: Principal, input: RedeliverInput): Promise<{ commandId: string; delivery: DeliveryRow }> {
    const { commandIds, result } = await this.commands.issue(principal, redeliver, input, async () => {
      const [delivery] = await this.deliveries.byIds(principal.tenant, [input.deliveryId]);
      if (!delivery) throw new NotFound('delivery', input.deliveryId, { field: 'deliveryId' });
      const { id, customer } = delivery;
      return {
        result: delivery,
        commands: [planned({ type: Redeliver, customer, identity: [id], target: id, payload: { deliveryId: id } })],
      };
    });
    return { commandId: commandIds[0]!, delivery: result };
  }
}
