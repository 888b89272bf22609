import { z } from 'zod';
import { query } from '../operations/operation.js';
import { id, node } from '../operations/shape.js';

const maxNodes = 100;

export const getNode = query({
  name: 'node',
  about: 'Anything with an id: an event, run, delivery, dead letter, customer or bulk operation of this tenant.',
  scope: 'read',
  input: z.strictObject({ id: id.describe('The id, from any field `id` of a type that implements `Node`.') }),
  output: node.nullable(),
  failures: [],
});

export const getNodes = query({
  name: 'nodes',
  about: 'The same for up to 100 ids, in their order; null for an id that does not exist.',
  scope: 'read',
  cost: { rows: maxNodes },
  input: z.strictObject({
    ids: z
      .array(id)
      .max(maxNodes, { error: `may have at most ${maxNodes} entries` })
      .describe('The ids, at most 100.'),
  }),
  output: z.array(node.nullable()),
  failures: [],
});
