import { Injectable } from '@nestjs/common';
import { NotFound } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import { FlowCompiler, excludedBy, meetsCondition } from '#libs/flows';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';

/** Finds the flows for an event among the tenant's current ones. */
@Injectable()
export class FlowMatcher {
  constructor(
    private readonly configuration: Configuration,
    private readonly compiler: FlowCompiler,
  ) {}

  matching(event: EventReceived): Promise<Stored<FlowDocument>[]> {
    return this.matchingOf(this.configuration.flows(event.tenant), event);
  }

  /** True if the event starts one of these flows. */
  async takes(flows: readonly Stored<FlowDocument>[], event: EventReceived): Promise<boolean> {
    return (await this.matchingOf(flows, event)).length > 0;
  }

  private async matchingOf(flows: readonly Stored<FlowDocument>[], event: EventReceived): Promise<Stored<FlowDocument>[]> {
    const candidates = flows.filter((flow) => excludedBy(flow.document, event) === undefined);
    const wanted = await Promise.all(candidates.map((flow) => meetsCondition(flow.document, event, () => this.compiler.compile(flow))));
    return candidates.filter((_, at) => wanted[at]);
  }

  /**
   * Finds the flows for a replay, with all that was applied before it was asked for.
   * @param only the name of one flow, whether or not it matches the event; undefined: all that match it
   * @throws NotFound, StorageUnavailable
   */
  async forReplay(event: EventReceived, only: string | undefined): Promise<Stored<FlowDocument>[]> {
    await this.configuration.catchUp(event.tenant);
    if (only === undefined) return this.matching(event);
    const flow = this.configuration.flow(event.tenant, only);
    if (flow === undefined) throw new NotFound('flow', only);
    return [flow];
  }
}
