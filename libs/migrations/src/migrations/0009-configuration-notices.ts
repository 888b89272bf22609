import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The triggers hand the changed rows to `notify_configuration`, so that a notice can name the tenants whose configuration changed. */
export class ConfigurationNotices1795219200008 implements MigrationInterface {
  name = 'ConfigurationNotices1795219200008';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of ['document', 'api_key']) {
      await runner.query(`DROP TRIGGER configuration_changed ON ${table}`);
      // A trigger with a transition table is for one kind of event.
      for (const [event, rows] of [
        ['insert', 'NEW'],
        ['update', 'NEW'],
        ['delete', 'OLD'],
      ] as const) {
        await runner.query(
          `CREATE TRIGGER configuration_changed_by_${event} AFTER ${event.toUpperCase()} ON ${table} REFERENCING ${rows} TABLE AS changed
           FOR EACH STATEMENT EXECUTE FUNCTION notify_configuration()`,
        );
      }
    }
  }

  async down(): Promise<void> {
    throw new Error('The triggers of before named no tenant: drop the database instead.');
  }
}
