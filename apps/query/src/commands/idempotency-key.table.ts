import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import { InputInvalid } from '../operations/input.errors.js';

const path = ['idempotencyKey'];

const insert = statement(
  'query.idempotencyKey.insert',
  'INSERT INTO idempotency_key (tenant_id, action, key, input_digest) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING action',
);
const find = statement(
  'query.idempotencyKey.find',
  'SELECT input_digest AS digest FROM idempotency_key WHERE tenant_id = $1 AND action = $2 AND key = $3',
);

/** The table `idempotency_key`: the input that a caller's key stands for. */
@Injectable()
export class IdempotencyKeyTable {
  constructor(private readonly database: TenantDatabase) {}

  /**
   * Binds the key to this input for good. Called after the input was accepted and before anything is done for it.
   * @throws InputInvalid if the key is bound to another input of this action
   */
  async bind(tenant: string, action: string, { idempotencyKey, ...input }: { idempotencyKey: string }): Promise<void> {
    await this.database.asTenant(tenant, (session) => this.bindIn(session, tenant, action, { idempotencyKey, ...input }));
  }

  /**
   * Binds the key together with what is written in the session.
   * @returns true if it was bound to this input before
   * @throws InputInvalid if the key is bound to another input of this action
   */
  async bindIn(
    session: Session,
    tenant: string,
    action: string,
    { idempotencyKey, ...input }: { readonly idempotencyKey: string },
  ): Promise<boolean> {
    const digest = digestOf(input);
    const isNew = (await session.query(insert, [tenant, action, idempotencyKey, digest])).length > 0;
    if (isNew) return false;
    const [bound] = await session.query<{ digest: string }>(find, [tenant, action, idempotencyKey]);
    if (bound?.digest === digest) return true;
    throw new InputInvalid([{ path, message: `was used before, for another ${action}; take a new key` }], 'request.idempotencyMismatch');
  }

  /** True: the key is bound to this input. */
  async isBound(tenant: string, action: string, { idempotencyKey, ...input }: { idempotencyKey: string }): Promise<boolean> {
    const [bound] = await this.database.asTenant(tenant, (session) =>
      session.query<{ digest: string }>(find, [tenant, action, idempotencyKey]),
    );
    return bound?.digest === digestOf(input);
  }
}

/** Inputs arrive with their fields in the order of the schema, so equal inputs have equal text. A null field counts as absent. */
function digestOf(input: object): string {
  return hash(
    'sha256',
    JSON.stringify(input, (_key, value: unknown) => value ?? undefined),
  );
}
