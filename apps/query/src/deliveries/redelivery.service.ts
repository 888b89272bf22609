import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, Redeliver, commandId, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { AuditTable } from '../audit/audit.table.js';
import type { RedeliverInput } from '../generated/schema.js';
import { IdempotencyKeys, checkIdempotencyKey } from '../graphql/idempotency-key.js';
import { DeliveryTable } from './delivery.table.js';
import type { DeliveryRow } from './delivery.table.js';

@Injectable()
export class RedeliveryService {
  constructor(
    private readonly deliveries: DeliveryTable,
    private readonly keys: IdempotencyKeys,
    private readonly audit: AuditTable,
    private readonly producer: RecordProducer,
  ) {}

  /** Orders a redelivery. The command's id follows from the caller's key, so a request sent again orders nothing more. */
  async redeliver(principal: Principal, input: RedeliverInput): Promise<{ commandId: string; delivery: DeliveryRow }> {
    checkIdempotencyKey(input.idempotencyKey);
    const { tenant, actor } = principal;
    const [delivery] = await this.deliveries.byIds(tenant, [input.deliveryId]);
    if (!delivery) throw new NotFound('delivery', input.deliveryId, { field: 'input.deliveryId' });
    await this.keys.bind(tenant, 'redeliver', input);
    const command = commandId(tenant, input.idempotencyKey, 'redeliver', delivery.id);
    await this.audit.record(principal, [{ action: 'redeliver', target: delivery.id, commandId: command }]);
    await this.producer.append(topics.commands, Redeliver, {
      tenant,
      customer: delivery.customer,
      commandId: command,
      actor,
      at: new Date().toISOString(),
      deliveryId: delivery.id,
    });
    return { commandId: command, delivery };
  }
}
