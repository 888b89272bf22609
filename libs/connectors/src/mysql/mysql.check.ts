import { certificateWithoutTls, certificateWithoutUser } from '../connection-check.js';
import type { ConnectionCheck } from '../connection-check.js';
import { countedValueMistakes } from '../statement-mistakes.js';

export const mysqlCheck: ConnectionCheck = (connection) => [
  ...certificateWithoutTls(connection, '`tls: require`'),
  ...certificateWithoutUser(connection),
  ...countedValueMistakes(connection),
];
