import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, Redeliver, ReplayEvent, RetryDeadLetter, SkipDeadLetter } from '#libs/contracts';
import { CommandService, planned } from '../commands/command.service.js';
import type { PlannedCommand, Planning } from '../commands/command.service.js';
import { DeliveryTable } from '../deliveries/delivery.table.js';
import { RedeliveryService } from '../deliveries/redelivery.service.js';
import { InputInvalid } from '../operations/input.errors.js';
import type { CommandOperation } from '../operations/operation.js';
import { RunTable } from '../runs/run.table.js';
import { retryDeadLetter, skipDeadLetter } from './dead-letter.operations.js';
import type { DeadLetterRow, SettleDeadLetterInput } from './dead-letter.operations.js';
import { DeadLetterTable } from './dead-letter.table.js';
import type { RunInPlace } from './dead-letter.table.js';
import { HoldsTable } from './hold.table.js';

/** The dead letter leaves nothing to settle: it is resolved, it is retried already, or its record was passed over. */
export class DeadLetterSettled extends InputInvalid {
  constructor(code: 'deadLetter.resolved' | 'deadLetter.underWay' | 'deadLetter.notHeld', message: string) {
    super([{ path: ['id'], message }], code);
  }
}

interface Settlement {
  commandId: string;
  deadLetter: DeadLetterRow;
}

/** Settles dead letters: the failed work is tried again, or given up for good. */
@Injectable()
export class SettlementService {
  constructor(
    private readonly deadLetters: DeadLetterTable,
    private readonly holds: HoldsTable,
    private readonly runs: RunTable,
    private readonly deliveries: DeliveryTable,
    private readonly redeliveries: RedeliveryService,
    private readonly commands: CommandService,
  ) {}

  skip(principal: Principal, input: SettleDeadLetterInput): Promise<Settlement> {
    return this.settle(principal, skipDeadLetter, input, async (letter, planning) => {
      const { id, customer, kind, deliveryId } = letter;
      if (letter.resolution !== 'skipped') requireOpen(letter, planning); // a skipped one is as the caller wants it
      return planned({
        type: SkipDeadLetter,
        customer,
        identity: [id],
        target: id,
        payload: { deadLetterId: id, kind, deliveryId: kind === 'delivery' ? deliveryId : null },
      });
    });
  }

  retry(principal: Principal, input: SettleDeadLetterInput): Promise<Settlement> {
    return this.settle(principal, retryDeadLetter, input, async (letter, planning) => {
      requireOpen(letter, planning);
      return this.retryOf(principal, letter, planning);
    });
  }

  private async settle(
    principal: Principal,
    operation: CommandOperation,
    input: SettleDeadLetterInput,
    commandFor: (letter: DeadLetterRow, planning: Planning) => Promise<PlannedCommand>,
  ): Promise<Settlement> {
    const { commandIds, result } = await this.commands.issue(principal, operation, input, async (planning) => {
      const letter = await this.letterOf(principal.tenant, input.id);
      return { result: letter, commands: [await commandFor(letter, planning)] };
    });
    return { commandId: commandIds[0]!, deadLetter: result };
  }

  /** The command that tries this kind of dead letter again. */
  private async retryOf({ tenant }: Principal, letter: DeadLetterRow, { isRepeat }: Planning): Promise<PlannedCommand> {
    const { id, customer, kind, eventId, runId, deliveryId } = letter;
    const common = { customer, identity: [id], target: id };
    if (kind === 'delivery') {
      const [delivery] = await this.deliveries.byIds(tenant, [deliveryId!]);
      if (delivery && !isRepeat) await this.redeliveries.requireOneEffect(tenant, delivery, { field: 'id', evenIfTaken: false });
      return planned({ ...common, type: Redeliver, payload: { deliveryId: deliveryId! } });
    }
    if (kind === 'run') {
      const [run] = await this.runs.byIds(tenant, [runId!]);
      const inPlace = await this.deadLetters.runInPlaceOf(tenant, run!);
      if (inPlace !== null && !isRepeat) throw retriedAlready(id, inPlace);
      return planned({ ...common, type: ReplayEvent, payload: { eventId: eventId!, flow: run!.flow, deadLetterId: id } });
    }
    const [held] = await this.holds.ofDeadLetters(tenant, [id]);
    if (held!.length === 0 && !isRepeat) {
      throw new DeadLetterSettled('deadLetter.notHeld', `the record of ${id} was passed over, and cannot be handled again`);
    }
    return planned({ ...common, type: RetryDeadLetter, payload: { deadLetterId: id } });
  }

  private async letterOf(tenant: string, id: string): Promise<DeadLetterRow> {
    const [letter] = await this.deadLetters.byIds(tenant, [id]);
    if (!letter) throw new NotFound('deadLetter', id, { field: 'id' });
    return letter;
  }
}

/** @throws DeadLetterSettled */
function requireOpen({ id, resolvedAt, resolution }: DeadLetterRow, { isRepeat }: Planning): void {
  if (resolvedAt === null || isRepeat) return;
  const how = resolution === 'superseded' ? ': a later generation of the run was given up, too, and its dead letter takes its place' : '';
  throw new DeadLetterSettled('deadLetter.resolved', `the dead letter ${id} is resolved already${how}`);
}

/** The owner of the command passes such a retry over, too: this tells the caller why. */
function retriedAlready(id: string, { id: run, state }: RunInPlace): DeadLetterSettled {
  if (state === 'completed')
    return new DeadLetterSettled('deadLetter.resolved', `the dead letter ${id} was retried already: ${run} completed`);
  if (state === 'failed') {
    const message = `the dead letter ${id} was retried already: ${run} was given up, too, and its dead letter takes the place of this one`;
    return new DeadLetterSettled('deadLetter.resolved', message);
  }
  const remedy = 'wait until it has ended, or cancel it (`cancelRun`) and retry then';
  return new DeadLetterSettled('deadLetter.underWay', `the dead letter ${id} is retried already: ${run} is ${state}; ${remedy}`);
}
