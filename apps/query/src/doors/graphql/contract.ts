import { buildASTSchema } from 'graphql';
import { handled, resolvedFields } from '../../operations/operation-runner.js';
import { printSdl, sdlOf } from './sdl.js';

/** The contract in GraphQL's terms. */
export const contract = sdlOf(handled, resolvedFields);

/** The types of the contract, without resolvers. Two types of one name, or a missing one, stop the start here. */
export const contractSchema = buildASTSchema(contract);

/** The contract as text, for `docs/schema.graphql`. */
export function contractSdl(): string {
  return printSdl(contract);
}
