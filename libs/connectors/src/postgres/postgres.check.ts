import { certificateWithoutTls, certificateWithoutUser } from '../connection-check.js';
import type { ConnectionCheck } from '../connection-check.js';
import { numberedValueMistakes } from '../statement-mistakes.js';

export const postgresCheck: ConnectionCheck = (connection) => [
  ...certificateWithoutTls(connection, '`tls: require`'),
  ...certificateWithoutUser(connection),
  ...numberedValueMistakes(connection),
];
