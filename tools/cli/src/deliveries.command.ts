import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

const redeliver = `mutation Redeliver($input: RedeliverInput!) {
  ordered: redeliver(input: $input) { __typename ... on RedeliverSuccess { commandId delivery { id state } } ${refusals} }
}`;

/** `millrace deliveries redeliver`: tries one delivery again, under the key that it had. */
export async function redeliverOne(
  connection: Connection,
  id: string,
  { evenIfTaken }: { readonly evenIfTaken: boolean },
  output: Output,
): Promise<void> {
  type Ordered = { __typename: 'RedeliverSuccess'; commandId: string; delivery: { id: string; state: string } };
  const input = { deliveryId: id, evenIfTaken, idempotencyKey: randomUUID() };
  const { ordered } = await ask<{ ordered: Ordered | Refusal }>(connection, redeliver, { input });
  output.result(accepted(connection, ordered), `${id} is tried again; the timeline of its event shows what comes of it.`);
}
