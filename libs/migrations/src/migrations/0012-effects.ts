import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The columns that say whether a delivery reached its destination, may take effect more than once, and sets an object. */
export class Effects1795219200011 implements MigrationInterface {
  name = 'Effects1795219200011';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Deliveries whose outcome is unknown would be repeated: drop the database instead.');
  }
}

const statements = [
  // reached_at: when the first attempt began that the destination took, or may have taken. at_least_once: the consent of the flow. object: the key of
  // what the payload sets, where a newer delivery of the same object takes the place of older ones.
  `ALTER TABLE delivery
     ADD COLUMN reached_at timestamptz(3),
     ADD COLUMN at_least_once boolean NOT NULL DEFAULT false,
     ADD COLUMN object key_text`,
  `CREATE INDEX delivery_object ON delivery (tenant_id, destination, customer, object, position) WHERE object IS NOT NULL`,
  `ALTER TABLE delivery DROP CONSTRAINT delivery_state_check`,
  `ALTER TABLE delivery ADD CONSTRAINT delivery_state_check
     CHECK (state IN ('pending', 'delivered', 'parked', 'skipped', 'superseded')) NOT VALID`,
  `ALTER TABLE delivery VALIDATE CONSTRAINT delivery_state_check`,
  `ALTER TABLE attempt DROP CONSTRAINT attempt_outcome_check`,
  `ALTER TABLE attempt ADD CONSTRAINT attempt_outcome_check CHECK (outcome IN ('succeeded', 'failed', 'uncertain')) NOT VALID`,
  `ALTER TABLE attempt VALIDATE CONSTRAINT attempt_outcome_check`,
];
