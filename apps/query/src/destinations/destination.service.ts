import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { EnableDestination, NotFound, noCustomer } from '#libs/contracts';
import { CommandService, planned } from '../commands/command.service.js';
import { enableDestination } from './destination.operations.js';
import type { EnableDestinationInput } from './destination.operations.js';
import { DestinationTable } from './destination.table.js';

@Injectable()
export class DestinationService {
  constructor(
    private readonly table: DestinationTable,
    private readonly commands: CommandService,
  ) {}

  /** Orders that a disabled destination gets deliveries again. */
  async enable(principal: Principal, input: EnableDestinationInput): Promise<{ commandId: string }> {
    const { name } = input;
    const { commandIds } = await this.commands.issue(principal, enableDestination, input, async () => {
      const destinations = await this.table.list(principal.tenant);
      if (!destinations.some((destination) => destination.name === name)) throw new NotFound('destination', name, { field: 'name' });
      const payload = { destination: name };
      return {
        result: null,
        commands: [planned({ type: EnableDestination, customer: noCustomer, identity: [name], target: `Destination/${name}`, payload })],
      };
    });
    return { commandId: commandIds[0]! };
  }
}
