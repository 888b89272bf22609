// `npm run build`, and the first step of every command that runs built code. Does nothing if `dist` is up to date.
import { checkRequirements } from './requirements.mjs';

checkRequirements();
const { build } = await import('./compile.mjs');
await build();
