import { handle, part } from '../operations/part.js';
import { getNode, getNodes } from './node.operations.js';

export const nodePart = part({
  operations: [
    handle(getNode, ({ find }, { id }) => find(id)),
    handle(getNodes, ({ find }, { ids }) => Promise.all(ids.map((id) => find(id)))),
  ],
});
