import { clearText } from '#libs/contracts';
import { withHeader } from '../credential.js';
import type { Credential } from '../credential.js';

export const bearerAuth: Credential<'bearer'> = (request, auth) => {
  const token = clearText(auth.token);
  return { ...withHeader(request, 'authorization', `Bearer ${token}`), secrets: [token] };
};
