import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, StartPull, noCustomer } from '#libs/contracts';
import { CommandService, planned } from '../commands/command.service.js';
import { startPull } from './pull.operations.js';
import type { StartPullInput } from './pull.operations.js';
import { PullTable } from './pull.table.js';

@Injectable()
export class PullService {
  constructor(
    private readonly table: PullTable,
    private readonly commands: CommandService,
  ) {}

  /** Orders a pass of the pull. */
  async start(principal: Principal, input: StartPullInput): Promise<{ commandId: string }> {
    const { tenant } = principal;
    const { name, fromBeginning } = input;
    const { commandIds } = await this.commands.issue(principal, startPull, input, async () => {
      if (!(await this.table.exists(tenant, name))) throw new NotFound('pull', name, { field: 'name' });
      const payload = { pull: name, fromBeginning: fromBeginning ?? false };
      return {
        result: null,
        commands: [planned({ type: StartPull, customer: noCustomer, identity: [name], target: `Pull/${name}`, payload })],
      };
    });
    return { commandId: commandIds[0]! };
  }
}
