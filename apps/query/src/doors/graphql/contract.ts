import { handled, resolvedFields } from '../../operations/operation-runner.js';
import { printSdl, sdlOf } from './sdl.js';

/** The contract in GraphQL's terms; a mistake in a declaration stops the start here. */
export const contract = sdlOf(handled, resolvedFields);

/** The contract as text, for `docs/schema.graphql`. */
export function contractSdl(): string {
  return printSdl(contract);
}
