import { clearText } from '#libs/contracts';
import { withHeader } from '../credential.js';
import type { Credential } from '../credential.js';

export const basicAuth: Credential<'basic'> = (request, auth) => {
  const password = clearText(auth.password);
  const pair = `${auth.username}:${password}`;
  const encoded = Buffer.from(pair, 'utf8').toString('base64');
  return { ...withHeader(request, 'authorization', `Basic ${encoded}`), secrets: [encoded, pair, password] };
};
