import { Injectable } from '@nestjs/common';
import type { DocumentKind } from '#libs/contracts';
import { Configuration, DocumentTable, TenantDatabase } from '#libs/persistence';
import { didYouMean } from '#libs/schemas';
import type { Violation } from '../operations/input.errors.js';

/** The kinds of documents that a field of an input names. Requests, schedules and pulls bring events, too, with their names as the source. */
const kindsOf = {
  flow: ['Flow'],
  source: ['Source', 'Flow', 'Schedule', 'Pull'],
  destination: ['Destination'],
} as const satisfies Record<string, readonly DocumentKind[]>;

/** A name in an input: of what, and in which field. */
export interface GivenName {
  readonly noun: keyof typeof kindsOf;
  readonly name: string;
  readonly path: readonly string[];
}

/** Tells names of documents that exist, or existed, from mistyped ones: these look like names to which nothing happened. */
@Injectable()
export class DocumentNames {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
    private readonly configuration: Configuration,
  ) {}

  /** Violations of names that no document of the tenant has or had: events, runs and deliveries of a removed document are still there. */
  async unknown(tenant: string, given: readonly GivenName[]): Promise<Violation[]> {
    if (given.length === 0) return [];
    const kinds = [...new Set(given.flatMap(({ noun }) => kindsOf[noun]))];
    const names = given.map(({ name }) => name);
    const found = await this.database.asTenant(tenant, (session) => this.documents.everNamed(session, tenant, kinds, names));
    const isKnown = ({ noun, name }: GivenName): boolean =>
      found.some((one) => one.name === name && (kindsOf[noun] as readonly DocumentKind[]).includes(one.kind));
    const unknown = given.filter((one) => !isKnown(one));
    if (unknown.length > 0) await this.configuration.catchUp(tenant); // a similar name may be of a document that was applied a moment ago
    return unknown.map((one) => this.violation(tenant, one));
  }

  /** The violation of a name that no current document has, with a similar one among those in memory. */
  violation(tenant: string, { noun, name, path }: GivenName): Violation {
    const kinds: readonly DocumentKind[] = kindsOf[noun];
    const current = this.configuration.all(tenant).filter(({ kind }) => kinds.includes(kind));
    const meant = didYouMean(
      name,
      current.map((one) => one.name),
    );
    return { path: [...path], message: `names no ${noun} of this tenant: ${name}${meant}` };
  }
}
