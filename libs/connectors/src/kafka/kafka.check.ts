import { certificateWithoutTls } from '../connection-check.js';
import type { ConnectionCheck } from '../connection-check.js';

export const kafkaCheck: ConnectionCheck = (connection) => {
  const { settings, given, credentials } = connection;
  const mistakes = certificateWithoutTls(connection, '`tls: require`');
  const hasUser = credentials.includes('basic');
  if (given['sasl'] !== undefined && !hasUser) {
    const message = 'is set, and `auth` has no user and password to prove: use `kind: basic`, or leave it out';
    mistakes.push({ path: ['settings', 'sasl'], message });
  }
  if (settings['tls'] === 'none' && settings['sasl'] === 'plain' && hasUser) {
    const message = 'is none, and PLAIN sends the password as it is: set `tls: require`, or `sasl: scram-sha-512`';
    mistakes.push({ path: ['settings', 'tls'], message });
  }
  for (const [at, address] of (settings['brokers'] as readonly string[]).entries()) {
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    if (port > 65_535) mistakes.push({ path: ['settings', 'brokers', String(at)], message: `has a port beyond 65535: ${address}` });
  }
  return mistakes;
};
