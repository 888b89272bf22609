import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import {
  CancelBulkOperation,
  NotFound,
  StartBulkOperation,
  bulkOperationId,
  failures,
  maxBulkRatePerSecond,
  noCustomer,
  takenBy,
} from '#libs/contracts';
import type { BulkOperationKind, BulkSelection, DeadLetterKind } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { Configuration } from '#libs/persistence';
import { didYouMean } from '#libs/schemas';
import { CommandService, planned } from '../commands/command.service.js';
import { deadLetterConditions } from '../dead-letters/dead-letter.table.js';
import { eventConditions } from '../events/event.table.js';
import type { DeadLetterFilter } from '../dead-letters/dead-letter.operations.js';
import { DocumentNames } from '../documents/document.names.js';
import type { GivenName } from '../documents/document.names.js';
import { DestinationTable } from '../destinations/destination.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import type { Violation } from '../operations/input.errors.js';
import { conditions } from '../paging/filter.js';
import type { Count } from '../paging/paging.js';
import type { CommandOperation } from '../operations/operation.js';
import { bulkRedeliver, bulkReplay, cancelBulkOperation } from './bulk-operation.operations.js';
import type {
  BulkOperationRow,
  BulkRedeliverInput,
  BulkReplayInput,
  CancelBulkOperationInput,
  LeftOutItems,
} from './bulk-operation.operations.js';
import { BulkOperationTable } from './bulk-operation.table.js';

/** A request for a bulk operation, in the form that both kinds share. */
interface BulkRequest {
  kind: BulkOperationKind;
  operation: CommandOperation;
  selection: BulkSelection;
  filter: Record<string, unknown>;
  flow: string | null;
  input: { readonly ratePerSecond: number; readonly dryRun: boolean; readonly idempotencyKey: string };
  /** Violations of the input that only its kind knows. */
  problems: readonly Violation[];
  /** Further facts for the audit entry. Default: none. */
  audited?: Record<string, Json>;
}

interface StartedBulkOperation {
  /** How many items the filter finds. */
  matched: Count;
  /** The items among them for which nothing would be ordered now. */
  leftOut: LeftOutItems[];
  operationId: string | null;
}

@Injectable()
export class BulkOperationService {
  constructor(
    private readonly table: BulkOperationTable,
    private readonly destinations: DestinationTable,
    private readonly configuration: Configuration,
    private readonly names: DocumentNames,
    private readonly commands: CommandService,
  ) {}

  async replay(principal: Principal, input: BulkReplayInput): Promise<StartedBulkOperation> {
    const { events, deadLetters } = input.filter;
    const flow = input.flow ?? null;
    const only = flow === null ? undefined : await this.configuration.storedFlow(principal.tenant, flow);
    const problems = [
      ...this.problemsOfFlow(principal.tenant, { flow, isKnown: only !== undefined, ofDeadLetters: deadLetters != null }),
      ...(await this.names.unknown(principal.tenant, namesIn(input.filter))),
      ...problemsOfLetters(deadLetters, 'run'),
      ...problemsOfTimes(input.filter),
    ];
    const selected =
      deadLetters == null
        ? {
            selection: 'events' as const,
            filter: {
              ...eventConditions(events ?? {}),
              ...(only !== undefined && { runnableBy: only.name, takes: takenBy(only.document) }),
            },
          }
        : { selection: 'deadLetters' as const, filter: deadLetterConditions(deadLetters) };
    return this.start(principal, { kind: 'replay', operation: bulkReplay, ...selected, flow, input, problems });
  }

  async redeliver(principal: Principal, input: BulkRedeliverInput): Promise<StartedBulkOperation> {
    const { deliveries, deadLetters } = input.filter;
    const stateless = deliveries != null && deliveries.state == null;
    const problems = [
      ...(stateless ? [{ path: ['filter', 'deliveries', 'state'], message: 'must say which: PARKED is what an outage leaves' }] : []),
      ...(await this.names.unknown(principal.tenant, namesIn(input.filter))),
      ...problemsOfLetters(deadLetters, 'delivery'),
      ...problemsOfTimes(input.filter),
    ];
    const selected =
      deadLetters == null
        ? { selection: 'deliveries' as const, filter: conditions({ ...deliveries }) }
        : { selection: 'deadLetters' as const, filter: deadLetterConditions(deadLetters) };
    return this.start(principal, { kind: 'redelivery', operation: bulkRedeliver, ...selected, flow: null, input, problems });
  }

  /** Promotes outcomes of a trial. */
  promote(
    principal: Principal,
    operation: CommandOperation,
    input: BulkRequest['input'] & { readonly id: string; readonly onlyChanged: boolean },
    more: Pick<BulkRequest, 'problems' | 'audited'>,
  ): Promise<StartedBulkOperation> {
    const filter = { trial: input.id, onlyChanged: input.onlyChanged };
    return this.start(principal, { kind: 'promotion', operation, selection: 'outcomes', filter, flow: null, input, ...more });
  }

  async cancel(principal: Principal, input: CancelBulkOperationInput): Promise<{ commandId: string; operation: BulkOperationRow }> {
    const { commandIds, result } = await this.commands.issue(principal, cancelBulkOperation, input, async () => {
      const [operation] = await this.table.byIds(principal.tenant, [input.id]);
      if (!operation) throw new NotFound('bulkOperation', input.id, { field: 'id' });
      const { id, kind } = operation;
      const payload = { kind, operationId: id };
      return {
        result: operation,
        commands: [planned({ type: CancelBulkOperation, customer: noCustomer, identity: [id], target: id, payload })],
      };
    });
    return { commandId: commandIds[0]!, operation: result };
  }

  /**
   * Counts the items and, unless it is a dry run, orders the operation. Its id follows from the command's, so it is known before a worker has
   * started it.
   */
  private async start(principal: Principal, request: BulkRequest): Promise<StartedBulkOperation> {
    const { tenant } = principal;
    const { kind, operation, selection, filter, flow, input, problems, audited = {} } = request;
    const operationOf = (command: string): string => bulkOperationId(tenant, command);
    const { commandIds, result: found } = await this.commands.issue(principal, operation, input, async () => {
      refuse([...problems, ...problemsOfRate(input)]);
      const result = await this.count(tenant, request);
      if (input.dryRun) return { result, commands: [] };
      const detail = {
        selection,
        filter: parseStoredJson(JSON.stringify(filter)) as Record<string, Json>,
        flow,
        ratePerSecond: input.ratePerSecond,
      };
      const payload = { kind, ...detail };
      // Belongs to no customer, so that the starts and cancels of a tenant stand in one order.
      return {
        result,
        commands: [
          planned({
            type: StartBulkOperation,
            customer: noCustomer,
            identity: [],
            target: operationOf,
            detail: { ...detail, ...audited },
            payload,
          }),
        ],
      };
    });
    return { ...found, operationId: commandIds[0] === undefined ? null : operationOf(commandIds[0]) };
  }

  private async count(tenant: string, { kind, selection, filter }: BulkRequest): Promise<Omit<StartedBulkOperation, 'operationId'>> {
    const matched = await this.table.countItems(tenant, kind, selection, filter);
    if (matched.value === 0) refuse(problemsOfCode(filter['code'] as string | undefined));
    if (kind !== 'redelivery' || matched.value === 0) return { matched, leftOut: [] };
    return { matched, leftOut: await this.table.countRefused(tenant, selection, filter, await this.destinations.effects(tenant)) };
  }

  private problemsOfFlow(
    tenant: string,
    { flow, isKnown, ofDeadLetters }: { flow: string | null; isKnown: boolean; ofDeadLetters: boolean },
  ): Violation[] {
    if (flow === null) return [];
    const path = ['flow'];
    if (ofDeadLetters) return [{ path, message: 'goes with events; filter dead letters by their flow instead' }];
    return isKnown ? [] : [this.names.violation(tenant, { noun: 'flow', name: flow, path })];
  }
}

/** The names of documents that the one selection of a filter names. */
function namesIn(filter: BulkReplayInput['filter'] & BulkRedeliverInput['filter']): GivenName[] {
  return Object.entries(filter).flatMap(([selection, given]) => {
    const { flow, destination, sources } = (given ?? {}) as {
      flow?: string | null;
      destination?: string | null;
      sources?: string[] | null;
    };
    const path = ['filter', selection];
    return [
      ...(flow == null ? [] : [{ noun: 'flow', name: flow, path: [...path, 'flow'] } as const]),
      ...(destination == null ? [] : [{ noun: 'destination', name: destination, path: [...path, 'destination'] } as const]),
      ...(sources ?? []).map((name, at) => ({ noun: 'source', name, path: [...path, 'sources', `${at}`] }) as const),
    ];
  });
}

/** A window that ends before it begins finds nothing, which reads as if there were nothing to do. */
function problemsOfTimes(filter: BulkReplayInput['filter'] & BulkRedeliverInput['filter']): Violation[] {
  return Object.entries(filter).flatMap(([selection, given]) => {
    const times = (given ?? {}) as Record<string, Date | string | null | undefined>;
    return ['received', 'created'].flatMap((at) => {
      const [from, before] = [times[`${at}From`], times[`${at}Before`]];
      if (from == null || before == null || new Date(before) > new Date(from)) return [];
      return [{ path: ['filter', selection, `${at}Before`], message: `must be after ${at}From` }];
    });
  });
}

function refuse(problems: readonly Violation[]): void {
  if (problems.length > 0) throw new InputInvalid(problems);
}

/** Asked only where nothing was found: what an older release gave up may have a code that this one does not know. */
function problemsOfCode(code: string | undefined): Violation[] {
  const known = Object.keys(failures);
  if (code === undefined || known.includes(code)) return [];
  return [{ path: ['filter', 'deadLetters', 'code'], message: `names no failure code: ${code}${didYouMean(code, known)}` }];
}

/** Checked here instead of by the input's schema, so that a caller is told of it together with the other problems. */
function problemsOfRate({ ratePerSecond }: { ratePerSecond: number }): Violation[] {
  if (ratePerSecond >= 1 && ratePerSecond <= maxBulkRatePerSecond) return [];
  return [{ path: ['ratePerSecond'], message: `must be from 1 to ${maxBulkRatePerSecond}` }];
}

/** The violations of a filter of dead letters: an operation can settle open ones of its own kind only. */
function problemsOfLetters(filter: DeadLetterFilter | null | undefined, kind: DeadLetterKind): Violation[] {
  const path = ['filter', 'deadLetters'];
  return [
    ...(filter?.kind != null && filter.kind !== kind
      ? [{ path: [...path, 'kind'], message: `can only be ${kind.toUpperCase()} here` }]
      : []),
    ...(filter?.resolved === true
      ? [{ path: [...path, 'resolved'], message: 'can only be false: there is nothing left to do for the others' }]
      : []),
  ];
}
