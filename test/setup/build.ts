import { execFileSync } from 'node:child_process';

/** Expressions are evaluated in processes that run compiled code, so that has to be up to date. */
export default function setup(): void {
  execFileSync(process.execPath, ['tools/build/build.mjs'], { stdio: 'inherit' });
}
