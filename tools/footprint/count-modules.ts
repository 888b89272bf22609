/** Preloaded into a service (`--import`): writes the URLs of the modules that it loaded to FOOTPRINT_FILE when it ends. */
import { writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const file = process.env['FOOTPRINT_FILE'];
const urls = new Set<string>();

if (isMainThread && file !== undefined) {
  registerHooks({
    load(url, context, nextLoad) {
      if (!url.startsWith('node:')) urls.add(url);
      return nextLoad(url, context);
    },
  });
  process.on('exit', () => writeFileSync(file, JSON.stringify([...urls])));
}
