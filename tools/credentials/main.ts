/** `npm run -s credentials -- apiKey`: prints one value of the running one-process form's credentials, for use in a shell. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const path = join(process.env['MILLRACE_DIRECTORY'] || '.millrace', 'credentials.json');
if (!existsSync(path)) {
  console.error(`${path} is not there. Start Millrace first: npm start`);
  process.exit(1);
}
const wanted = process.argv[2];
const credentials: unknown = JSON.parse(readFileSync(path, 'utf8'));
if (wanted === undefined) console.log(JSON.stringify(credentials, null, 2));
else {
  const value = wanted.split('.').reduce<unknown>((from, key) => (from as Record<string, unknown> | undefined)?.[key], credentials);
  if (typeof value !== 'string') {
    console.error(`${path} has no ${wanted}`);
    process.exit(1);
  }
  console.log(value);
}
