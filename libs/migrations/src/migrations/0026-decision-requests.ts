import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Requests for decisions, and default decisions. */
export class DecisionRequests1795219200025 implements MigrationInterface {
  name = 'DecisionRequests1795219200025';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('It would be lost which decisions are default ones: a later migration takes the columns away.');
  }
}

const statements = [
  // The request for a decision that the event comes from; null for all others.
  `ALTER TABLE event ADD COLUMN request json`,
  // decide_by: the decision of the flow counts if it is stored before; null: nobody waits. default_reason: why the decision is the default one; null: the flow decided.
  `ALTER TABLE run ADD COLUMN decide_by timestamptz(3), ADD COLUMN default_reason text`,
];
