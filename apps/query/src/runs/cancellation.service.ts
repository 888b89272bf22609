import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { CancelRun, NotFound } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';
import { CommandService, planned } from '../commands/command.service.js';
import type { Planning } from '../commands/command.service.js';
import { EventTable } from '../events/event.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import { cancelRun } from './run.operations.js';
import type { CancelRunInput, RunRow } from './run.operations.js';
import { RunTable } from './run.table.js';

/** Ends runs before their decision. */
@Injectable()
export class CancellationService {
  constructor(
    private readonly runs: RunTable,
    private readonly events: EventTable,
    private readonly commands: CommandService,
  ) {}

  async cancel(principal: Principal, input: CancelRunInput): Promise<{ commandId: string; run: RunRow }> {
    const { commandIds, result } = await this.commands.issue(principal, cancelRun, input, async (planning) => {
      const run = await this.cancellable(principal.tenant, input.id, planning);
      const [event] = await this.events.byIds(principal.tenant, [run.eventId]);
      const reason = input.reason ?? null;
      const command = planned({
        type: CancelRun,
        customer: event!.customer.key, // a run always has its event
        identity: [run.id],
        target: run.id,
        detail: { reason },
        payload: { eventId: run.eventId, runId: run.id, reason },
      });
      return { result: run, commands: [command] };
    });
    return { commandId: commandIds[0]!, run: result };
  }

  /** A run that is cancelled already is as the caller wants it. @throws NotFound, InputInvalid */
  private async cancellable(tenant: string, id: string, { isRepeat }: Planning): Promise<RunRow> {
    const [run] = await this.runs.byIds(tenant, [id]);
    if (!run) throw new NotFound('run', id, { field: 'id' });
    const isCancelled = run.errorCode === ('run.cancelled' satisfies FailureCode);
    if (run.state === 'running' || run.state === 'waiting' || isCancelled || isRepeat) return run;
    throw new InputInvalid([{ path: ['id'], message: `names a run that has ended already: ${id} is ${run.state}` }], 'run.finished');
  }
}
