import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { EnableDestination, NotFound, commandId, noCustomer, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { AuditTable } from '../audit/audit.table.js';
import type { EnableDestinationInput } from '../generated/schema.js';
import { IdempotencyKeys, checkIdempotencyKey } from '../graphql/idempotency-key.js';
import { DestinationTable } from './destination.table.js';

@Injectable()
export class DestinationService {
  constructor(
    private readonly table: DestinationTable,
    private readonly keys: IdempotencyKeys,
    private readonly audit: AuditTable,
    private readonly producer: RecordProducer,
  ) {}

  /** Orders it. The command's id follows from the caller's key, so a request sent again orders nothing more. */
  async enable(principal: Principal, input: EnableDestinationInput): Promise<{ commandId: string }> {
    const { name, idempotencyKey } = input;
    checkIdempotencyKey(idempotencyKey);
    const { tenant, actor } = principal;
    const destinations = await this.table.list(tenant);
    if (!destinations.some((destination) => destination.name === name)) throw new NotFound('destination', name, { field: 'input.name' });
    await this.keys.bind(tenant, 'enableDestination', input);
    const command = commandId(tenant, idempotencyKey, 'enableDestination', name);
    await this.audit.record(principal, [{ action: 'enableDestination', target: `Destination/${name}`, commandId: command }]);
    const at = new Date().toISOString();
    await this.producer.append(topics.commands, EnableDestination, {
      tenant,
      customer: noCustomer,
      commandId: command,
      actor,
      at,
      destination: name,
    });
    return { commandId: command };
  }
}
