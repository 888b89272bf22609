import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';

interface Connector {
  name: string;
  summary: string;
  limits: string[];
  operations: { name: string; summary: string; effect: 'READ' | 'WRITE'; promise: string | null }[];
}

const query = '{ connectors { name summary limits operations { name summary effect promise } } }';

/** `millrace connectors`: what connections can name, and what can be done there. */
export async function connectors(connection: Connection, output: Output): Promise<void> {
  const asked = await ask<{ connectors: Connector[] }>(connection, query);
  for (const { name, summary, limits, operations } of asked.connectors) {
    output.note(`${name}: ${summary}`);
    for (const limit of limits) output.note(`  ${limit}`);
    for (const operation of operations) {
      const promise =
        operation.effect === 'READ' ? 'Only reads.' : (operation.promise ?? 'The destination declares how often it takes effect.');
      output.result({ connector: name, ...operation }, `${name} ${operation.name}: ${operation.summary} ${promise}`);
    }
  }
}
