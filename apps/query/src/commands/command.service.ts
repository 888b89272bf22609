import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { commandId, topics } from '#libs/contracts';
import type { CommandHead, RecordType } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { wallTime } from '#libs/time';
import { AuditTable } from '../audit/audit.table.js';
import type { CommandOperation } from '../operations/operation.js';
import { InputInvalid } from '../operations/input.errors.js';
import { IdempotencyKeyTable } from './idempotency-key.table.js';

/** A command that is about to be appended, without what `CommandService` adds. */
export interface PlannedCommand<T extends CommandHead = CommandHead> {
  readonly type: RecordType<T>;
  /** The customer in whose order the command is applied; `noCustomer` if it is about none. */
  readonly customer: string;
  /** Tells this command apart from the others of the same key and operation; part of the command's id. */
  readonly identity: readonly string[];
  /** The id, or `Kind/name`, that the audit entry names; a function if it follows from the command's id. */
  readonly target: string | ((commandId: string) => string);
  /** Kept in the audit entry. */
  readonly detail?: Record<string, unknown>;
  readonly payload: Omit<T, keyof CommandHead>;
}

/** Checks that the payload fits the type of the record, and forgets that type. */
export function planned<T extends CommandHead>(command: PlannedCommand<T>): PlannedCommand {
  return command;
}

/** The result of a rule: the commands to append (none for a dry run) and the value for the caller. */
export interface CommandPlan<Result> {
  readonly commands: readonly PlannedCommand[];
  readonly result: Result;
}

/** The circumstances in which a plan is made. */
export interface Planning {
  /**
   * True: the caller's key is bound to this input already. Then the plan does not refuse it for what has happened since, because that may be the effect of
   * the first request.
   */
  readonly isRepeat: boolean;
}

/** The one way from a request to commands on the log: plan, bind the key, write the audit entries, append. */
@Injectable()
export class CommandService {
  constructor(
    private readonly keys: IdempotencyKeyTable,
    private readonly audit: AuditTable,
    private readonly producer: RecordProducer,
  ) {}

  /**
   * Appends the commands that `plan` returns. Their ids follow from the caller's key, so the same request again appends the same commands, which
   * their owner applies once. The key is bound only after the plan accepted the input; nothing is appended without its audit entry.
   * @param plan loads what the input names and applies the rule of the operation; it writes nothing
   * @throws InputInvalid if the key was used for another input; whatever `plan` throws
   */
  async issue<Result>(
    principal: Principal,
    operation: CommandOperation,
    input: { idempotencyKey: string },
    plan: (planning: Planning) => Promise<CommandPlan<Result>>,
  ): Promise<{ commandIds: string[]; result: Result }> {
    const { commands, result } = await this.planOf(principal, operation, input, plan);
    if (commands.length === 0) return { commandIds: [], result };
    const { tenant, actor } = principal;
    const { name } = operation;
    await this.keys.bind(tenant, name, input);
    const issued = commands.map((command) => ({ command, id: commandId(tenant, input.idempotencyKey, name, ...command.identity) }));
    await this.audit.record(
      principal,
      issued.map(({ command: { target, detail }, id }) => ({
        operation,
        target: typeof target === 'string' ? target : target(id),
        commandId: id,
        ...(detail === undefined ? {} : { detail }),
      })),
    );
    const at = wallTime().toISOString();
    await Promise.all(
      issued.map(({ command: { type, customer, payload }, id }) =>
        this.producer.append(topics.commands, type, { ...payload, tenant, customer, commandId: id, actor, at }),
      ),
    );
    return { commandIds: issued.map(({ id }) => id), result };
  }

  /** The key is looked up only if the plan refuses the input. */
  private async planOf<Result>(
    { tenant }: Principal,
    { name }: CommandOperation,
    input: { idempotencyKey: string },
    plan: (planning: Planning) => Promise<CommandPlan<Result>>,
  ): Promise<CommandPlan<Result>> {
    try {
      return await plan({ isRepeat: false });
    } catch (error) {
      if (!(error instanceof InputInvalid) || !(await this.keys.isBound(tenant, name, input))) throw error;
    }
    return plan({ isRepeat: true });
  }
}
