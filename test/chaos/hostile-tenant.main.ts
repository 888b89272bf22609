import { HostileActions } from './hostile-actions.js';
import type { HostileTargets } from './hostile-actions.js';

// The process of the hostile tenant: `hostile-tenant.ts` starts it and tells it when to act.

/** A request of the parent. */
export type HostileRequest = { readonly act: HostileTargets } | 'rest' | { readonly finish: string };

const [seed, ...only] = process.argv.slice(2);
const actions = await HostileActions.create(Number(seed), only);
process.on('disconnect', () => process.exit(0));
process.on('message', (request: HostileRequest) => {
  if (request === 'rest') actions.rest();
  else if ('act' in request) actions.act(request.act);
  else void actions.finish(request.finish).then((outcomes) => process.send!(outcomes));
});
process.send!(actions.documents());
