import { certificateWithoutTls } from '../connection-check.js';
import type { ConnectionCheck } from '../connection-check.js';

export const smtpCheck: ConnectionCheck = (connection) => {
  const { settings, credentials } = connection;
  const unencrypted = certificateWithoutTls(connection, '`tls: starttls` or `implicit`');
  if (unencrypted.length > 0 || settings['tls'] !== 'none' || credentials.every((kind) => kind === 'none')) return unencrypted;
  return [{ path: ['settings', 'tls'], message: 'is none, and a credential is sent encrypted only: set `tls: starttls` or `implicit`' }];
};
