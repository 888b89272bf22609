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

  async matching(event: EventReceived): Promise<Stored<FlowDocument>[]> {
    const candidates = this.configuration.flows(event.tenant).filter((flow) => excludedBy(flow.document, event) === undefined);
    const wanted = await Promise.all(candidates.map((flow) => meetsCondition(flow.document, event, () => this.compiler.compile(flow))));
    return candidates.filter((_, at) => wanted[at]);
  }

  /** @throws NotFound */
  named(tenant: string, name: string): Stored<FlowDocument> {
    const flow = this.configuration.flows(tenant).find((candidate) => candidate.name === name);
    if (flow === undefined) throw new NotFound('flow', name);
    return flow;
  }
}
