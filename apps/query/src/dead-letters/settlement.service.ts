import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, Redeliver, ReplayEvent, RetryDeadLetter, SkipDeadLetter, commandId, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { AuditTable } from '../audit/audit.table.js';
import type { SettleDeadLetterInput } from '../generated/schema.js';
import { IdempotencyKeys, checkIdempotencyKey } from '../graphql/idempotency-key.js';
import { InputInvalid } from '../graphql/user-errors.js';
import { RunTable } from '../runs/run.table.js';
import { DeadLetterTable } from './dead-letter.table.js';
import type { DeadLetterRow } from './dead-letter.table.js';
import { HoldsTable } from './hold.table.js';

/** What happened to the dead letter before, or how its group goes on, leaves nothing to ask for. */
export class DeadLetterSettled extends InputInvalid {
  constructor(code: 'deadLetter.resolved' | 'deadLetter.notHeld', message: string) {
    super([{ path: ['input', 'id'], message }], code);
  }
}

interface Settlement {
  commandId: string;
  deadLetter: DeadLetterRow;
}

/** Settles dead letters: what failed is tried again, or given up for good. */
@Injectable()
export class SettlementService {
  constructor(
    private readonly deadLetters: DeadLetterTable,
    private readonly holds: HoldsTable,
    private readonly runs: RunTable,
    private readonly keys: IdempotencyKeys,
    private readonly audit: AuditTable,
    private readonly producer: RecordProducer,
  ) {}

  async skip(principal: Principal, input: SettleDeadLetterInput): Promise<Settlement> {
    const letter = await this.find(principal, input);
    const command = await this.audited(principal, 'skipDeadLetter', letter, input);
    const { id: deadLetterId, kind, deliveryId } = letter;
    await this.producer.append(topics.commands, SkipDeadLetter, {
      ...command,
      deadLetterId,
      kind,
      deliveryId: kind === 'delivery' ? deliveryId : null,
    });
    return { commandId: command.commandId, deadLetter: letter };
  }

  async retry(principal: Principal, input: SettleDeadLetterInput): Promise<Settlement> {
    const letter = await this.find(principal, input);
    const append = await this.retryOf(principal, letter);
    const command = await this.audited(principal, 'retryDeadLetter', letter, input);
    await append(command);
    return { commandId: command.commandId, deadLetter: letter };
  }

  /** How this kind is tried again. */
  private async retryOf({ tenant }: Principal, letter: DeadLetterRow): Promise<(command: Command) => Promise<unknown>> {
    const { id: deadLetterId, kind, eventId, runId, deliveryId } = letter;
    if (kind === 'delivery') {
      return (command) => this.producer.append(topics.commands, Redeliver, { ...command, deliveryId: deliveryId! });
    }
    if (kind === 'run') {
      const [run] = await this.runs.byIds(tenant, [runId!]);
      return (command) => this.producer.append(topics.commands, ReplayEvent, { ...command, eventId: eventId!, flow: run!.flow });
    }
    const [held] = await this.holds.ofDeadLetters(tenant, [deadLetterId]);
    if (held!.length === 0) {
      throw new DeadLetterSettled('deadLetter.notHeld', `the record of ${deadLetterId} was passed over, and cannot be handled again`);
    }
    return (command) => this.producer.append(topics.commands, RetryDeadLetter, { ...command, deadLetterId });
  }

  private async find({ tenant }: Principal, { id, idempotencyKey }: SettleDeadLetterInput): Promise<DeadLetterRow> {
    checkIdempotencyKey(idempotencyKey);
    const [letter] = await this.deadLetters.byIds(tenant, [id]);
    if (!letter) throw new NotFound('deadLetter', id, { field: 'input.id' });
    if (letter.resolvedAt !== null) throw new DeadLetterSettled('deadLetter.resolved', `the dead letter ${id} is resolved already`);
    return letter;
  }

  private async audited(
    principal: Principal,
    action: 'skipDeadLetter' | 'retryDeadLetter',
    { id, customer }: DeadLetterRow,
    input: SettleDeadLetterInput,
  ): Promise<Command> {
    const { tenant, actor } = principal;
    await this.keys.bind(tenant, action, input);
    const command = commandId(tenant, input.idempotencyKey, action, id);
    await this.audit.record(principal, [{ action, target: id, commandId: command }]);
    return { tenant, customer, commandId: command, actor, at: new Date().toISOString() };
  }
}

type Command = Pick<ReplayEvent, 'tenant' | 'customer' | 'commandId' | 'actor' | 'at'>;
