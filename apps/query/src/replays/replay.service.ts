import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, ReplayEvent, isForRequestsAlone } from '#libs/contracts';
import type { FlowDocument } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { CommandService, planned } from '../commands/command.service.js';
import { DocumentNames } from '../documents/document.names.js';
import { EventTable } from '../events/event.table.js';
import type { EventRow } from '../events/event.operations.js';
import { InputInvalid } from '../operations/input.errors.js';
import { replayEvents } from './replay.operations.js';
import type { ReplayEventsInput } from './replay.operations.js';

@Injectable()
export class ReplayService {
  constructor(
    private readonly table: EventTable,
    private readonly configuration: Configuration,
    private readonly names: DocumentNames,
    private readonly commands: CommandService,
  ) {}

  /** Orders a replay of every event, or of none if one is unknown; each in the order of its customer. */
  async replay(principal: Principal, input: ReplayEventsInput): Promise<{ commandIds: string[]; events: EventRow[] }> {
    const { commandIds, result } = await this.commands.issue(principal, replayEvents, input, async () => {
      const flow = input.flow ?? null;
      const only = flow === null ? null : await this.flowOf(principal.tenant, flow);
      const ids = [...new Set(input.ids)];
      const events = await this.find(principal.tenant, ids);
      if (only !== null) await this.checkRequests(ids, only);
      const commands = events.map(({ id, customer }) =>
        planned({
          type: ReplayEvent,
          customer: customer.key,
          identity: [id, flow ?? ''],
          target: id,
          detail: { flow },
          payload: { eventId: id, flow },
        }),
      );
      return { result: events, commands };
    });
    return { commandIds, events: result };
  }

  private async flowOf(tenant: string, name: string): Promise<Stored<FlowDocument>> {
    const flow = await this.configuration.storedFlow(tenant, name);
    if (flow === undefined) throw new InputInvalid([this.names.violation(tenant, { noun: 'flow', name, path: ['flow'] })]);
    return flow;
  }

  /** @throws InputInvalid if another flow is named than the one that runs on the event of a request, or one that runs on no other events */
  private async checkRequests(ids: readonly string[], { tenant, name, document }: Stored<FlowDocument>): Promise<void> {
    const requests = await this.table.requests(tenant, ids);
    const others = requests.filter(({ flow }) => flow !== name);
    const ordinary = isForRequestsAlone(document.spec) ? ids.filter((id) => !requests.some((request) => request.id === id)) : [];
    const messages = [
      ...others.map(
        ({ id, flow }) =>
          `names the event of a request, on which only the flow ${flow} runs: leave it out, or name that flow or none: ${id}`,
      ),
      ...ordinary.map((id) => `names an event that is no request, and the flow ${name} runs on requests alone: ${id}`),
    ];
    if (messages.length > 0) throw new InputInvalid(messages.map((message) => ({ path: ['ids'], message })));
  }

  private async find(tenant: string, ids: readonly string[]): Promise<EventRow[]> {
    const found = await this.table.byIds(tenant, ids);
    const unknown = ids.filter((_id, at) => found[at] === null);
    if (unknown.length > 0) throw new NotFound('event', unknown, { field: 'ids' });
    return found.filter((event) => event !== null);
  }
}
