import { Injectable } from '@nestjs/common';
import { requireScope } from '#libs/auth';
import type { Principal } from '#libs/auth';
import { CancelTrial, NotFound, StartTrial, longestTrialSeconds, mostEventsOfTrial, name, noCustomer, trialId } from '#libs/contracts';
import type { CommandHead, FlowDocument, TrialEvents } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { Configuration, DocumentTable, TenantDatabase } from '#libs/persistence';
import { didYouMean } from '#libs/schemas';
import { BulkOperationService } from '../bulk-operations/bulk-operation.service.js';
import { CommandService, planned } from '../commands/command.service.js';
import { DocumentService } from '../documents/document.service.js';
import { EventTable, eventConditions } from '../events/event.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import type { Violation } from '../operations/input.errors.js';
import type { CommandOperation } from '../operations/operation.js';
import type { Count } from '../paging/paging.js';
import { cancelTrial, promoteTrial, startBacktest, tryFlow } from './trial.operations.js';
import type { CancelTrialInput, PromoteTrialInput, StartBacktestInput, TrialRow, TryFlowInput } from './trial.operations.js';
import { TrialTable } from './trial.table.js';

type Start = Omit<StartTrial, keyof CommandHead>;
type TriedFlow = Pick<Start, 'flow' | 'version' | 'document'> & { readonly spec: FlowDocument['spec'] };

/** A command has to fit into a record of the log. */
const longestCommand = 512 * 1_024;
/** The longest time of a trial of one event. */
const trySeconds = 150;

/** Orders trials of flows. */
@Injectable()
export class TrialService {
  constructor(
    private readonly table: TrialTable,
    private readonly events: EventTable,
    private readonly documents: DocumentService,
    private readonly documentTable: DocumentTable,
    private readonly database: TenantDatabase,
    private readonly configuration: Configuration,
    private readonly commands: CommandService,
    private readonly bulk: BulkOperationService,
  ) {}

  try(principal: Principal, input: TryFlowInput, isAbandoned: () => boolean): Promise<{ trialId: string }> {
    return this.start(
      principal,
      tryFlow,
      input,
      async (flow) => {
        const { step = null } = input;
        const isUnknown = step !== null && !flow.spec.steps.some(({ id }) => id === step);
        if (isUnknown) refuse([{ path: ['step'], message: `names no step in the list of the flow itself: ${step}` }]);
        const events = await this.eventOf(principal.tenant, input.event);
        return { kind: 'try', events, step, maxEvents: 1, maxSeconds: trySeconds, maxCost: null };
      },
      isAbandoned,
    );
  }

  backtest(principal: Principal, input: StartBacktestInput, isAbandoned: () => boolean): Promise<{ trialId: string }> {
    return this.start(
      principal,
      startBacktest,
      input,
      () => {
        const { last, maxSeconds, filter, maxCost } = input;
        const nanos = maxCost == null ? null : nanosOf(maxCost.amount);
        refuse([
          ...inRange('last', last, mostEventsOfTrial),
          ...inRange('maxSeconds', maxSeconds, longestTrialSeconds),
          ...(maxCost != null && nanos === null
            ? [{ path: ['maxCost', 'amount'], message: 'must be a decimal number with up to nine places, such as 2.50' }]
            : []),
          ...(maxCost != null && !/^[A-Z]{3}$/.test(maxCost.currency)
            ? [{ path: ['maxCost', 'currency'], message: 'must be a code of ISO 4217, such as USD' }]
            : []),
        ]);
        const conditions = parseStoredJson(JSON.stringify(eventConditions(filter ?? {}))) as Record<string, Json>;
        return Promise.resolve({
          kind: 'backtest',
          events: { eventId: null, sample: null, filter: conditions },
          step: null,
          maxEvents: last,
          maxSeconds,
          maxCost: maxCost == null ? null : { nanos: nanos!, currency: maxCost.currency },
        });
      },
      isAbandoned,
    );
  }

  /** @throws NotFound, InputInvalid */
  async promote(
    principal: Principal,
    input: PromoteTrialInput,
  ): Promise<{ matched: Count; storedReviews: number; operationId: string | null }> {
    const [trial] = await this.table.byIds(principal.tenant, [input.id]);
    if (!trial) throw new NotFound('trial', input.id, { field: 'id' });
    const problems = [
      ...(trial.state === 'running' ? ['names a trial that has not ended: cancel it, or wait'] : []),
      ...(trial.flowVersion === null ? ['names a trial of a document that is not applied: apply it, and backtest that version'] : []),
    ];
    const { id, onlyChanged } = input;
    const storedReviews = await this.table.storedReviews(principal.tenant, { trial: id, onlyChanged });
    const started = await this.bulk.promote(principal, promoteTrial, input, {
      problems: problems.map((message) => ({ path: ['id'], message })),
      audited: { storedReviews },
    });
    return { ...started, storedReviews };
  }

  async cancel(principal: Principal, input: CancelTrialInput): Promise<{ trial: TrialRow }> {
    const { result } = await this.commands.issue(principal, cancelTrial, input, async () => {
      const [trial] = await this.table.byIds(principal.tenant, [input.id]);
      if (!trial) throw new NotFound('trial', input.id, { field: 'id' });
      const { id } = trial;
      return {
        result: trial,
        commands: [planned({ type: CancelTrial, customer: noCustomer, identity: [id], target: id, payload: { trialId: id } })],
      };
    });
    return { trial: result };
  }

  /** The id follows from the command's, so it is known before a worker has begun. */
  private async start(
    principal: Principal,
    operation: CommandOperation,
    input: TryFlowInput | StartBacktestInput,
    rest: (flow: TriedFlow) => Promise<Omit<Start, 'flow' | 'version' | 'document' | 'outputs'>>,
    isAbandoned: () => boolean,
  ): Promise<{ trialId: string }> {
    const { tenant } = principal;
    const idOf = (command: string): string => trialId(tenant, command);
    const { commandIds } = await this.commands.issue(principal, operation, input, async () => {
      const outputs = outputsOf(input.outputs);
      const tried = await this.flowOf(principal, input.flow, isAbandoned);
      refuse(unknownSteps(Object.keys(outputs), tried.spec));
      const { flow, version, document } = tried;
      const payload: Start = { ...(await rest(tried)), flow, version, document, outputs };
      const { length } = JSON.stringify(payload);
      if (length > longestCommand)
        refuse([{ path: ['flow'], message: `has, with all that is given, ${length} characters; ${longestCommand} are the most` }]);
      const detail = { flow, version, kind: payload.kind };
      return {
        result: undefined,
        commands: [planned({ type: StartTrial, customer: noCustomer, identity: [], target: idOf, detail, payload })],
      };
    });
    return { trialId: idOf(commandIds[0]!) };
  }

  /** @throws NotFound, InputInvalid, ScopeMissing */
  private async flowOf(principal: Principal, { applied, document }: TryFlowInput['flow'], isAbandoned: () => boolean): Promise<TriedFlow> {
    if (applied == null) return this.givenFlow(principal, document, isAbandoned);
    const { tenant } = principal;
    const version = applied.version ?? (await this.configuration.storedFlow(tenant, applied.name))?.version;
    const reference = { tenant, kind: 'Flow', name: applied.name } as const;
    const stored =
      version === undefined
        ? undefined
        : await this.database.asTenant(tenant, (session) => this.documentTable.version(session, reference, version));
    const named = applied.version == null ? applied.name : `${applied.name}, version ${applied.version}`;
    if (stored === undefined || version === undefined) throw new NotFound('flow', named, { field: 'flow.applied' });
    return { flow: applied.name, version, document: null, spec: (stored.document as FlowDocument).spec };
  }

  /** A document is checked as apply checks it, and needs the same scope, because it can read by every connection of the tenant. */
  private async givenFlow(principal: Principal, given: unknown, isAbandoned: () => boolean): Promise<TriedFlow> {
    requireScope(principal, 'admin');
    const path = ['flow', 'document'];
    const document = await this.documents.checked(principal, given, isAbandoned).catch((error: unknown) => {
      if (!(error instanceof InputInvalid)) throw error;
      const violations = error.violations.map((one) => ({ ...one, path: [...path, ...one.path.slice(2)] }));
      throw new InputInvalid(violations, error.code);
    });
    if (document.kind !== 'Flow') throw new InputInvalid([{ path: [...path, 'kind'], message: 'must be Flow' }]);
    return { flow: document.metadata.name, version: null, document: document as unknown as Json, spec: document.spec };
  }

  private async eventOf(tenant: string, { id, sample }: TryFlowInput['event']): Promise<TrialEvents> {
    if (sample != null) {
      if (!name.safeParse(sample.source).success)
        refuse([{ path: ['event', 'sample', 'source'], message: 'must be the name of a source' }]);
      return { eventId: null, filter: null, sample: { ...sample, data: (sample.data ?? null) as Json } };
    }
    const [event] = await this.events.byIds(tenant, [id!]);
    if (!event) throw new NotFound('event', id!, { field: 'event.id' });
    return { eventId: id!, sample: null, filter: null };
  }
}

function refuse(problems: readonly Violation[]): void {
  if (problems.length > 0) throw new InputInvalid(problems);
}

function inRange(field: string, value: number, most: number): Violation[] {
  return value >= 1 && value <= most ? [] : [{ path: [field], message: `must be from 1 to ${most}` }];
}

function outputsOf(outputs: unknown): Record<string, Json> {
  if (outputs == null) return {};
  if (typeof outputs !== 'object' || Array.isArray(outputs))
    throw new InputInvalid([{ path: ['outputs'], message: 'must be an object: give each output by the path of its step' }]);
  return outputs as Record<string, Json>;
}

/** The paths of outputs that lead into no step of the flow. What stands within a step, such as the items of a list, is not looked at. */
function unknownSteps(paths: readonly string[], spec: FlowDocument['spec']): Violation[] {
  const known = [...spec.steps.map(({ id }) => id), ...(typeof spec.onFailure === 'string' ? [] : ['onFailure'])];
  return paths.flatMap((path) => {
    const [step = ''] = path.split(/[/:[]/);
    return known.includes(step) ? [] : [{ path: ['outputs', path], message: `names no step of the flow${didYouMean(step, known)}` }];
  });
}

/** Null if it is no amount. */
function nanosOf(amount: string): number | null {
  const [, whole, places = ''] = /^(\d{1,6})(?:\.(\d{1,9}))?$/.exec(amount) ?? [];
  return whole === undefined ? null : Number(whole) * 1e9 + Number(places.padEnd(9, '0'));
}
