import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, eventViewFields } from '#libs/contracts';
import { namesWithoutValue } from '#libs/documents';
import { ExpressionFailed, ExpressionInvalid, compileExpression } from '#libs/expressions';
import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { Stopwatch } from '#libs/time';
import { EventTable } from '../events/event.table.js';
import { ArgumentInvalid } from '../operations/input.errors.js';
import { RunTable } from '../runs/run.table.js';
import type { EvaluateInput, EvaluationRow, ValueType } from './evaluation.operations.js';

/** Evaluates expressions on what is stored, as a flow would. */
@Injectable()
export class EvaluationService {
  constructor(
    private readonly events: EventTable,
    private readonly runs: RunTable,
  ) {}

  /** @throws NotFound, ArgumentInvalid, EvaluationsBusy */
  async evaluate({ tenant }: Principal, { expression, names, ...at }: EvaluateInput): Promise<EvaluationRow> {
    const scope = { ...namesOf(names), ...(await this.scopeOf(tenant, at)) };
    const watch = new Stopwatch();
    const end = await valueOf(expression, tenant, scope);
    const isExpression = end.error?.code !== 'document.invalid';
    const warnings = isExpression
      ? namesWithoutValue(expression, { ...known(scope), event: eventViewFields, steps: Object.keys(scope.steps) })
      : [];
    return { ...end, warnings, durationMs: Math.round(watch.stop().durationMs * 1_000) / 1_000 };
  }

  private async scopeOf(tenant: string, at: Pick<EvaluateInput, 'event' | 'run'>): Promise<{ event: object; steps: object }> {
    if (at.run == null) {
      if (at.event == null) throw new ArgumentInvalid('event', 'is missing: name an event, or a run');
      return { event: await this.event(tenant, at.event), steps: {} };
    }
    const [run] = await this.runs.byIds(tenant, [at.run]);
    if (!run) throw new NotFound('run', at.run, { field: 'run' });
    if (at.event != null && at.event !== run.eventId)
      throw new ArgumentInvalid('event', `is not the event of the run, which is ${run.eventId}; name one of the two`);
    const [steps] = await this.runs.steps(tenant, [run.id]);
    const own = steps!.filter(({ id, state }) => state !== 'failed' && !/[/:]/.test(id)); // those within others have paths
    return { event: await this.event(tenant, run.eventId), steps: Object.fromEntries(own.map(({ id, output }) => [id, output])) };
  }

  /** The event as expressions see it: the fields of `EventView` in `libs/flows`, which this service does not load. */
  private async event(tenant: string, id: string): Promise<object> {
    const [event] = await this.events.byIds(tenant, [id]);
    if (!event) throw new NotFound('event', id, { field: 'event' });
    const { type, source, customer, occurredAt, receivedAt } = event;
    const times = { occurredAt: occurredAt.toISOString(), receivedAt: receivedAt.toISOString() };
    const [[marks], [schemaProblem], data] = await Promise.all([
      this.events.marks(tenant, [id]),
      this.events.schemaProblems(tenant, [id]),
      this.events.flowData(tenant, id),
    ]);
    return {
      id,
      type,
      source,
      customer: customer.key,
      ...times,
      ...(marks?.isTest === true && { test: true }),
      ...(schemaProblem != null && { schemaProblem }),
      data,
    };
  }
}

/** @throws ArgumentInvalid */
function namesOf(names: unknown): object {
  if (names == null) return {};
  if (typeof names !== 'object' || Array.isArray(names))
    throw new ArgumentInvalid('names', 'is not an object: give each name with its value');
  const taken = ['event', 'steps'].find((name) => Object.hasOwn(names, name));
  if (taken !== undefined) throw new ArgumentInvalid('names', `has ${taken}, which an expression sees already: give it another name`);
  return names;
}

/** The names of the scope. It is not looked into, because expressions may ask what is there. */
function known(scope: object): Record<string, undefined> {
  return Object.fromEntries(Object.keys(scope).map((name) => [name, undefined]));
}

async function valueOf(text: string, owner: string, scope: object): Promise<Omit<EvaluationRow, 'durationMs' | 'warnings'>> {
  try {
    const value = await compileExpression(text, { owner }).evaluate(scope);
    return { value: value ?? null, type: typeOf(value), error: null };
  } catch (error) {
    if (!(error instanceof ExpressionInvalid || error instanceof ExpressionFailed)) throw error;
    const { code, reason, position = null } = error;
    const limit = error instanceof ExpressionFailed ? (error.limit ?? null) : null;
    return { value: null, type: null, error: { code, message: reason, position, limit } };
  }
}

function typeOf(value: Json | undefined): ValueType {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if ((value as unknown) instanceof LosslessNumber) return 'number';
  return typeof value as 'boolean' | 'number' | 'string' | 'object';
}
