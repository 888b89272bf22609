import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Lets the API see which events the held records are of, and which of them failed. Their values stay hidden from it. */
export class HeldHeaders1795219200041 implements MigrationInterface {
  name = 'HeldHeaders1795219200041';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`GRANT SELECT (headers, log) ON held_record TO millrace_query`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`REVOKE SELECT (headers, log) ON held_record FROM millrace_query`);
  }
}
