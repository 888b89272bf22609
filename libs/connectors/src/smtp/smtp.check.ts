import { certificateWithoutTls } from '../connection-check.js';
import type { ConnectionCheck } from '../connection-check.js';

export const smtpCheck: ConnectionCheck = (connection) => {
  const { settings, credentials } = connection;
  const mistakes = certificateWithoutTls(connection, '`tls: starttls` or `implicit`');
  const hasToken = credentials.includes('bearer') || credentials.includes('oauth2');
  if (hasToken && settings['username'] === undefined) {
    const message = 'is missing: an access token is sent with the user whose it is, usually a mail address';
    mistakes.push({ path: ['settings', 'username'], message });
  }
  if (mistakes.length > 0 || settings['tls'] !== 'none' || credentials.every((kind) => kind === 'none')) return mistakes;
  return [{ path: ['settings', 'tls'], message: 'is none, and a credential is sent encrypted only: set `tls: starttls` or `implicit`' }];
};
