import { Injectable } from '@nestjs/common';
import { NotFound } from '#libs/contracts';
import { DocumentTable, TenantDatabase } from '#libs/persistence';
import { didYouMean } from '#libs/schemas';

/** The sources of a tenant by the names that people type. */
@Injectable()
export class NamedSources {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** @throws NotFound, with the name that may have been meant */
  async require(tenant: string, source: string): Promise<void> {
    const documents = await this.database.asTenant(tenant, (session) => this.documents.current(session, tenant, 'Source'));
    const names = documents.map(({ name }) => name);
    if (names.includes(source)) return;
    const message = `There is no source ${source}${didYouMean(source, names)}`;
    throw new NotFound('source', source, { field: 'source', message });
  }
}
