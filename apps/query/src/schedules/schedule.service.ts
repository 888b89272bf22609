import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { FireSchedule, NotFound, eventId, noCustomer } from '#libs/contracts';
import { firedEventId } from '#libs/schedules';
import { CommandService, planned } from '../commands/command.service.js';
import { fireSchedule } from './schedule.operations.js';
import type { FireScheduleInput } from './schedule.operations.js';
import { ScheduleTable } from './schedule.table.js';

@Injectable()
export class ScheduleService {
  constructor(
    private readonly table: ScheduleTable,
    private readonly commands: CommandService,
  ) {}

  /** Orders an event of the schedule. */
  async fire(principal: Principal, input: FireScheduleInput): Promise<{ commandId: string; eventId: string }> {
    const { tenant } = principal;
    const { name } = input;
    const { commandIds } = await this.commands.issue(principal, fireSchedule, input, async () => {
      if (!(await this.table.exists(tenant, name))) throw new NotFound('schedule', name, { field: 'name' });
      const payload = { schedule: name };
      return {
        result: null,
        commands: [planned({ type: FireSchedule, customer: noCustomer, identity: [name], target: `Schedule/${name}`, payload })],
      };
    });
    const commandId = commandIds[0]!;
    return { commandId, eventId: eventId(tenant, name, { providerEventId: firedEventId({ schedule: name, commandId }) }) };
  }
}
