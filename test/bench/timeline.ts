import type { Form } from '../forms/forms.js';

/** Events of one request; each may have runs, deliveries and attempts. */
const perRequest = 20;

/** Reads events of the tenant `bench` over GraphQL, in the order of the ids. @param fields what is selected of each `Event` */
export async function readEvents<Selected>({ graphql, operatorKey }: Form, ids: readonly string[], fields: string): Promise<Selected[]> {
  const events: Selected[] = [];
  for (let at = 0; at < ids.length; at += perRequest) {
    const response = await fetch(graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${operatorKey}`, 'millrace-tenant': 'bench' },
      body: JSON.stringify({
        query: `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Event { ${fields} } } }`,
        variables: { ids: ids.slice(at, at + perRequest) },
      }),
    });
    const { data, errors } = (await response.json()) as { data: { nodes: Selected[] } | null; errors?: unknown };
    if (data === null) throw new Error(`the events could not be read: ${JSON.stringify(errors)}`);
    events.push(...data.nodes);
  }
  return events;
}
