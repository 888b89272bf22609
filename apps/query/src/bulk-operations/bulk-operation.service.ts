import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import {
  CancelBulkOperation,
  NotFound,
  StartBulkOperation,
  bulkOperationId,
  commandId,
  maxBulkRatePerSecond,
  noCustomer,
  topics,
} from '#libs/contracts';
import type { BulkOperationKind, BulkSelection, Json } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Configuration } from '#libs/persistence';
import { AuditTable } from '../audit/audit.table.js';
import { deadLetterConditions } from '../dead-letters/dead-letter.table.js';
import { eventConditions } from '../events/event.table.js';
import type {
  BulkRedeliverInput,
  BulkReplayInput,
  CancelBulkOperationInput,
  Count,
  DeadLetterFilter,
  DeadLetterKind,
  Violation,
} from '../generated/schema.js';
import { IdempotencyKeys, checkIdempotencyKey } from '../graphql/idempotency-key.js';
import { InputInvalid } from '../graphql/user-errors.js';
import { conditions } from '../paging/filter.js';
import { BulkOperationTable } from './bulk-operation.table.js';
import type { BulkOperationRow } from './bulk-operation.table.js';

/** What an operation is started with, whichever kind it is of. */
interface Wish {
  kind: BulkOperationKind;
  action: 'bulkReplay' | 'bulkRedeliver';
  selection: BulkSelection;
  filter: Record<string, unknown>;
  flow: string | null;
  input: BulkReplayInput | BulkRedeliverInput;
}

interface Ordered {
  matched: Count;
  operationId: string | null;
}

@Injectable()
export class BulkOperationService {
  constructor(
    private readonly table: BulkOperationTable,
    private readonly configuration: Configuration,
    private readonly keys: IdempotencyKeys,
    private readonly audit: AuditTable,
    private readonly producer: RecordProducer,
  ) {}

  replay(principal: Principal, input: BulkReplayInput): Promise<Ordered> {
    const { events, deadLetters } = input.filter;
    const flow = input.flow ?? null;
    this.check(input, [...this.problemsOfFlow(principal.tenant, flow, deadLetters != null), ...problemsOfLetters(deadLetters, 'run')]);
    const selected =
      deadLetters == null
        ? { selection: 'events' as const, filter: eventConditions(events ?? {}) }
        : { selection: 'deadLetters' as const, filter: deadLetterConditions(deadLetters) };
    return this.order(principal, { kind: 'replay', action: 'bulkReplay', ...selected, flow, input });
  }

  redeliver(principal: Principal, input: BulkRedeliverInput): Promise<Ordered> {
    const { deliveries, deadLetters } = input.filter;
    const stateless = deliveries != null && deliveries.state == null;
    this.check(input, [
      ...(stateless
        ? [{ path: ['input', 'filter', 'deliveries', 'state'], message: 'must say which: PARKED is what an outage leaves' }]
        : []),
      ...problemsOfLetters(deadLetters, 'delivery'),
    ]);
    const selected =
      deadLetters == null
        ? { selection: 'deliveries' as const, filter: conditions({ ...deliveries }) }
        : { selection: 'deadLetters' as const, filter: deadLetterConditions(deadLetters) };
    return this.order(principal, { kind: 'redelivery', action: 'bulkRedeliver', ...selected, flow: null, input });
  }

  async cancel(principal: Principal, input: CancelBulkOperationInput): Promise<{ commandId: string; operation: BulkOperationRow }> {
    checkIdempotencyKey(input.idempotencyKey);
    const { tenant } = principal;
    const [operation] = await this.table.byIds(tenant, [input.id]);
    if (!operation) throw new NotFound('bulkOperation', input.id, { field: 'input.id' });
    await this.keys.bind(tenant, 'cancelBulkOperation', input);
    const command = commandId(tenant, input.idempotencyKey, 'cancelBulkOperation', operation.id);
    await this.audit.record(principal, [{ action: 'cancelBulkOperation', target: operation.id, commandId: command }]);
    await this.producer.append(topics.commands, CancelBulkOperation, {
      ...commandOf(principal, command),
      kind: operation.kind,
      operationId: operation.id,
    });
    return { commandId: command, operation };
  }

  /** The operation's id follows from the caller's key, so it is known before anybody has started it. */
  private async order(principal: Principal, { kind, action, selection, filter, flow, input }: Wish): Promise<Ordered> {
    const { tenant } = principal;
    const matched = await this.table.countItems(tenant, kind, selection, filter);
    if (input.dryRun) return { matched, operationId: null };
    await this.keys.bind(tenant, action, input);
    const command = commandId(tenant, input.idempotencyKey, action);
    const operationId = bulkOperationId(tenant, command);
    const { ratePerSecond } = input;
    const asked = { selection, filter: JSON.parse(JSON.stringify(filter)) as Record<string, Json>, flow, ratePerSecond };
    await this.audit.record(principal, [{ action, target: operationId, detail: asked, commandId: command }]);
    await this.producer.append(topics.commands, StartBulkOperation, {
      ...commandOf(principal, command),
      kind,
      ...asked,
    });
    return { matched, operationId };
  }

  private check({ ratePerSecond, idempotencyKey }: BulkReplayInput | BulkRedeliverInput, problems: Violation[]): void {
    checkIdempotencyKey(idempotencyKey);
    if (ratePerSecond < 1 || ratePerSecond > maxBulkRatePerSecond) {
      problems.push({ path: ['input', 'ratePerSecond'], message: `must be from 1 to ${maxBulkRatePerSecond}` });
    }
    if (problems.length > 0) throw new InputInvalid(problems);
  }

  private problemsOfFlow(tenant: string, flow: string | null, ofDeadLetters: boolean): Violation[] {
    if (flow === null) return [];
    const path = ['input', 'flow'];
    if (ofDeadLetters) return [{ path, message: 'goes with events; filter dead letters by their flow instead' }];
    const known = this.configuration.flows(tenant).some(({ name }) => name === flow);
    return known ? [] : [{ path, message: `names no flow of this tenant: ${flow}` }];
  }
}

/** Belongs to no customer, so a tenant's starts and cancels stand in one order. */
function commandOf({ tenant, actor }: Principal, command: string) {
  return { tenant, customer: noCustomer, commandId: command, actor, at: new Date().toISOString() };
}

/** Which dead letters an operation can settle: open ones, of its own kind. */
function problemsOfLetters(filter: DeadLetterFilter | null | undefined, kind: DeadLetterKind): Violation[] {
  const path = ['input', 'filter', 'deadLetters'];
  return [
    ...(filter?.kind != null && filter.kind !== kind
      ? [{ path: [...path, 'kind'], message: `can only be ${kind.toUpperCase()} here` }]
      : []),
    ...(filter?.resolved === true
      ? [{ path: [...path, 'resolved'], message: 'can only be false: there is nothing left to do for the others' }]
      : []),
  ];
}
