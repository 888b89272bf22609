import { Injectable } from '@nestjs/common';
import { NotFound, viewOf } from '#libs/contracts';
import type { EventReceived, OnRequest } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import { LruMap } from '#libs/lru';
import { Configuration, StorageUnavailable } from '#libs/persistence';
import { compileSchema } from '#libs/schemas';
import type { CompiledSchema } from '#libs/schemas';
import { RequestInvalid } from '#libs/service';
import { FlowTakesNoRequests } from './decision.errors.js';

/** Compiled versions kept in memory. */
const mostCompiled = 1_000;
/** The configuration of a tenant is read again for a flow that takes no requests at most so often. */
const lookAgainEveryMs = 1_000;
/** A caller waits for the default decision before the event is accepted. */
const limits = { timeoutMs: 50 };

/** The part of a flow that answers its callers, compiled once for each version. */
export class RequestableFlow {
  private readonly expression: Expression | undefined;
  private readonly schema: CompiledSchema | undefined;

  constructor(
    readonly name: string,
    readonly version: number,
    private readonly spec: OnRequest,
    tenant: string,
  ) {
    this.expression = typeof spec.default === 'string' ? compileExpression(spec.default, { ...limits, owner: tenant }) : undefined;
    this.schema = spec.schema === undefined ? undefined : compileSchema(spec.schema, { owner: tenant });
  }

  get waitMs(): number {
    return this.spec.waitMs;
  }

  /** True if callers can follow what a model writes. */
  get hasDraft(): boolean {
    return this.spec.draft !== undefined;
  }

  get deliverTo(): string[] {
    return this.spec.deliverDefault;
  }

  /** @throws RequestInvalid */
  async requireFits(data: object): Promise<void> {
    const [problem] = (await this.schema?.problemsOf(data)) ?? [];
    if (problem !== undefined) throw new RequestInvalid('body', `does not fit spec.onRequest.schema of the flow ${this.name}: ${problem}`);
  }

  /** The default decision for an event. @throws RequestInvalid if it cannot be told from its data */
  async defaultFor(event: EventReceived): Promise<Json> {
    if (this.expression === undefined) return this.spec.default;
    try {
      return (await this.expression.evaluate({ event: viewOf(event) })) ?? null;
    } catch (error) {
      if (!(error instanceof ExpressionFailed)) throw error;
      throw new RequestInvalid('body', `gives no default decision (spec.onRequest.default of the flow ${this.name}): ${error.message}`);
    }
  }
}

/** The flows that take requests. */
@Injectable()
export class RequestableFlows {
  private readonly compiled = new LruMap<string, RequestableFlow>(mostCompiled);
  /** The last time that the configuration of a tenant was read again, by the monotonic clock. */
  private readonly rereads = new LruMap<string, { readonly atMs: number; readonly done: Promise<void> }>(mostCompiled);

  constructor(private readonly configuration: Configuration) {}

  /** Finds also a flow that was applied a moment ago. @throws NotFound, FlowTakesNoRequests, ConfigurationUnavailable */
  async find(tenant: string, name: string): Promise<RequestableFlow> {
    return this.known(tenant, name) ?? (await this.foundAgain(tenant, name));
  }

  /** True if the tenant has the destination, or if that cannot be told, because Postgres is away. */
  mayHaveDestination(tenant: string, name: string): boolean {
    return this.configuration.isPartial || this.configuration.destination(tenant, name) !== undefined;
  }

  private known(tenant: string, name: string): RequestableFlow | undefined {
    const stored = this.configuration.flow(tenant, name);
    const { onRequest } = stored?.document.spec ?? {};
    if (stored === undefined || onRequest === undefined) return undefined;
    const { version } = stored;
    return this.compiled.getOrMake(`${tenant}/${name}/${version}`, () => new RequestableFlow(name, version, onRequest, tenant));
  }

  /** Looks for a flow, or a version of it, whose notice is on its way. */
  private async foundAgain(tenant: string, name: string): Promise<RequestableFlow> {
    const stored = this.configuration.flow(tenant, name);
    if (stored !== undefined) await this.rereadOf(tenant);
    else await this.configuration.newFlow(tenant, name).catch(unlessAway); // nobody can have applied it while Postgres is away
    const found = this.known(tenant, name);
    if (found !== undefined) return found;
    if (this.configuration.flow(tenant, name) === undefined && !this.configuration.isPartial)
      throw new NotFound('flow', name, { field: 'flow' });
    throw new FlowTakesNoRequests(name);
  }

  private rereadOf(tenant: string): Promise<void> {
    const last = this.rereads.get(tenant);
    const nowMs = performance.now();
    if (last !== undefined && nowMs - last.atMs < lookAgainEveryMs) return last.done;
    const done = this.configuration.readTenantAgain(tenant);
    this.rereads.set(tenant, { atMs: nowMs, done });
    return done;
  }
}

function unlessAway(error: unknown): void {
  if (!(error instanceof StorageUnavailable)) throw error;
}
