import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, ReplayEvent, commandId, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Configuration } from '#libs/persistence';
import { AuditTable } from '../audit/audit.table.js';
import { EventTable } from '../events/event.table.js';
import type { EventRow } from '../events/event.table.js';
import type { ReplayEventsInput } from '../generated/schema.js';
import { IdempotencyKeys, checkIdempotencyKey } from '../graphql/idempotency-key.js';
import { InputInvalid } from '../graphql/user-errors.js';

const maxEvents = 100;

@Injectable()
export class ReplayService {
  constructor(
    private readonly table: EventTable,
    private readonly configuration: Configuration,
    private readonly keys: IdempotencyKeys,
    private readonly audit: AuditTable,
    private readonly producer: RecordProducer,
  ) {}

  /** Orders a replay of every event, or of none where one is unknown. Commands are keyed by customer, so they take their place in its order. */
  async replay(principal: Principal, input: ReplayEventsInput): Promise<{ commandIds: string[]; events: EventRow[] }> {
    this.check(principal, input);
    const flow = input.flow ?? null;
    const events = await this.find(principal.tenant, [...new Set(input.ids)]);
    await this.keys.bind(principal.tenant, 'replayEvents', input);
    const orders = events.map((event) => ({
      event,
      command: commandId(principal.tenant, input.idempotencyKey, 'replayEvents', event.id, flow ?? ''),
    }));
    await this.audit.record(
      principal,
      orders.map(({ event, command }) => ({ action: 'replayEvents' as const, target: event.id, detail: { flow }, commandId: command })),
    );
    await Promise.all(orders.map(({ event, command }) => this.append(principal, event, command, flow)));
    return { commandIds: orders.map(({ command }) => command), events };
  }

  private check({ tenant }: Principal, { ids, flow, idempotencyKey }: ReplayEventsInput): void {
    checkIdempotencyKey(idempotencyKey);
    if (ids.length === 0 || ids.length > maxEvents) {
      throw new InputInvalid([{ path: ['input', 'ids'], message: `must have 1 to ${maxEvents} entries` }]);
    }
    if (flow != null && !this.configuration.flows(tenant).some(({ name }) => name === flow)) {
      throw new InputInvalid([{ path: ['input', 'flow'], message: `names no flow of this tenant: ${flow}` }]);
    }
  }

  private async find(tenant: string, ids: readonly string[]): Promise<EventRow[]> {
    const found = await this.table.byIds(tenant, ids);
    const unknown = ids.filter((_id, at) => found[at] === null);
    if (unknown.length > 0) throw new NotFound('event', unknown, { field: 'input.ids' });
    return found.filter((event) => event !== null);
  }

  private append({ tenant, actor }: Principal, event: EventRow, command: string, flow: string | null): Promise<unknown> {
    return this.producer.append(topics.commands, ReplayEvent, {
      tenant,
      customer: event.customer.key,
      commandId: command,
      actor,
      at: new Date().toISOString(),
      eventId: event.id,
      flow,
    });
  }
}
