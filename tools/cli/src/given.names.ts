import { failures } from '#libs/contracts';
import type { DocumentKind } from '#libs/contracts';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';

/** Names that options of a list may give. */
export interface GivenNames {
  readonly flow?: string | undefined;
  readonly source?: string | readonly string[] | undefined;
  readonly destination?: string | undefined;
  readonly code?: string | undefined;
}

/** The kinds of documents whose names an option takes. Events of requests, schedules and pulls have these as their sources. */
const kindsOf: Readonly<Record<'flow' | 'source' | 'destination', readonly DocumentKind[]>> = {
  flow: ['Flow'],
  source: ['Source', 'Flow', 'Schedule', 'Pull'],
  destination: ['Destination'],
};

/**
 * For where nothing was found: a name of something that does not exist would look like one to which nothing happened.
 * @throws CliFailure if there is nothing of a name
 */
export async function requireNames(connection: Connection, { code, ...names }: GivenNames): Promise<void> {
  if (code !== undefined) await requireOneOf('failure code', code, Object.keys(failures), 'code.unknown');
  for (const option of ['flow', 'source', 'destination'] as const) {
    const given = [names[option] ?? []].flat();
    if (given.length === 0) continue;
    const known = await namesOf(connection, kindsOf[option]);
    for (const name of given) await requireOneOf(option, name, known, `${option}.unknown`);
  }
}

async function namesOf(connection: Connection, kinds: readonly DocumentKind[]): Promise<string[]> {
  const lists = kinds.map((kind) => `${kind}: documents(kind: ${kind}) { name }`).join(' ');
  const found = await ask<Record<string, { name: string }[]>>(connection, `{ ${lists} }`);
  return Object.values(found).flatMap((documents) => documents.map(({ name }) => name));
}

/** @throws CliFailure */
async function requireOneOf(noun: string, given: string, known: readonly string[], code: string): Promise<void> {
  if (known.includes(given)) return;
  const { didYouMean } = await import('#libs/schemas'); // it takes longer to load than the rest
  throw new CliFailure(`There is no ${noun} ${given}${didYouMean(given, known)}`, 'refused', code);
}
