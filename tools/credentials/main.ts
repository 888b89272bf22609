/** `npm run -s credentials -- apiKey`: prints one value of the running one-process form's credentials, for use in a shell. */
import { readCredentials } from './credentials.js';

const credentials = readCredentials();
const wanted = process.argv[2];
if (wanted === undefined) console.log(JSON.stringify(credentials, null, 2));
else {
  const value = wanted.split('.').reduce<unknown>((from, key) => (from as Record<string, unknown> | undefined)?.[key], credentials);
  if (typeof value !== 'string') {
    console.error(`credentials.json has no ${wanted}`);
    process.exit(1);
  }
  console.log(value);
}
