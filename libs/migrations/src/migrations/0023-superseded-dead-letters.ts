import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A retry of a run that failed again leaves one open dead letter: the new one takes the place of those before it. */
export class SupersededDeadLetters1795219200022 implements MigrationInterface {
  name = 'SupersededDeadLetters1795219200022';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Superseded dead letters would have no resolution: a later migration takes the word away.');
  }
}

const statements = [
  `ALTER TABLE dead_letter DROP CONSTRAINT dead_letter_resolution_check,
     ADD CONSTRAINT dead_letter_resolution_check CHECK (resolution IN ('replayed', 'redelivered', 'retried', 'skipped', 'superseded')) NOT VALID`,
];
