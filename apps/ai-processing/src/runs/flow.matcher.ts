import { Injectable } from '@nestjs/common';
import { NotFound, typeMatcher } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import { FlowCompiler, viewOf } from '#libs/flows';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';

/** Finds the flows for an event among the tenant's current ones. */
@Injectable()
export class FlowMatcher {
  private readonly types = new WeakMap<FlowDocument, (type: string) => boolean>();

  constructor(
    private readonly configuration: Configuration,
    private readonly compiler: FlowCompiler,
  ) {}

  async matching(event: EventReceived): Promise<Stored<FlowDocument>[]> {
    const candidates = this.configuration.flows(event.tenant).filter((flow) => this.listens(flow.document, event));
    const wanted = await Promise.all(candidates.map((flow) => this.wants(flow, event)));
    return candidates.filter((_, at) => wanted[at]);
  }

  /** @throws NotFound */
  named(tenant: string, name: string): Stored<FlowDocument> {
    const flow = this.configuration.flows(tenant).find((candidate) => candidate.name === name);
    if (flow === undefined) throw new NotFound('flow', name);
    return flow;
  }

  private listens(flow: FlowDocument, event: EventReceived): boolean {
    const { sources } = flow.spec.on;
    return (sources === undefined || sources.includes(event.source)) && this.typesOf(flow)(event.type);
  }

  private typesOf(flow: FlowDocument): (type: string) => boolean {
    const known = this.types.get(flow) ?? typeMatcher(flow.spec.on.types ?? ['*']);
    this.types.set(flow, known);
    return known;
  }

  /**
   * A condition that cannot be evaluated counts as met. The run then evaluates it again, fails with its reason and is parked, so an operator finds it
   * while the event's other flows go on.
   */
  private async wants(flow: Stored<FlowDocument>, event: EventReceived): Promise<boolean> {
    if (flow.document.spec.on.when === undefined) return true;
    try {
      return (await this.compiler.compile(flow).condition?.evaluate({ event: viewOf(event) })) === true;
    } catch {
      return true;
    }
  }
}
