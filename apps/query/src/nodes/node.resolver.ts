import { Query, Resolver } from '@nestjs/graphql';
import type { BulkOperationRow } from '../bulk-operations/bulk-operation.table.js';
import { customerKeyOf } from '../customers/customer.table.js';
import type { CustomerRow } from '../customers/customer.table.js';
import type { DeadLetterRow } from '../dead-letters/dead-letter.table.js';
import type { DeliveryRow } from '../deliveries/delivery.table.js';
import type { EventRow } from '../events/event.table.js';
import type { QueryNodeArgs, QueryNodesArgs, QueryResolvers } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import type { Loaders } from '../graphql/loaders.js';
import { ArgumentInvalid } from '../graphql/request.errors.js';
import type { RunRow } from '../runs/run.table.js';

type NodeRow = EventRow | RunRow | DeliveryRow | DeadLetterRow | CustomerRow | BulkOperationRow;

const maxNodes = 100;

/** By the prefix that every id of a kind has. */
const kinds: Record<string, (id: string, loaders: Loaders) => Promise<NodeRow | null>> = {
  evt: (id, loaders) => loaders.event.load(id),
  run: (id, loaders) => loaders.run.load(id),
  dlv: (id, loaders) => loaders.delivery.load(id),
  dlq: (id, loaders) => loaders.deadLetter.load(id),
  bop: (id, loaders) => loaders.bulkOperation.load(id),
  cus: async (id, loaders) => {
    const key = customerKeyOf(id);
    return key === null ? null : loaders.customer.load(key);
  },
};

@Resolver()
export class NodeQueries implements Pick<QueryResolvers, 'node' | 'nodes'> {
  @Query()
  node(_root: unknown, { id }: QueryNodeArgs, { loaders }: QueryContext): Promise<NodeRow | null> {
    return load(id, loaders);
  }

  @Query()
  nodes(_root: unknown, { ids }: QueryNodesArgs, { loaders }: QueryContext): Promise<(NodeRow | null)[]> {
    if (ids.length > maxNodes) throw new ArgumentInvalid('ids', `may have at most ${maxNodes} entries`);
    return Promise.all(ids.map((id) => load(id, loaders)));
  }
}

async function load(id: string, loaders: Loaders): Promise<NodeRow | null> {
  return (await kinds[id.split('_', 1)[0]!]?.(id, loaders)) ?? null;
}
