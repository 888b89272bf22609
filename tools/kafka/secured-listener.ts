import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../programs/root.js';

/** The path of a PEM file of the tests' certificates: `ca`, `server` for loopback, `client`. */
export function pem(file: string): string {
  return join(root, 'tools', 'kafka', 'certificates', file);
}

/** A PEM text as a value of Kafka's settings. */
const inline = (...files: string[]): string =>
  files.map((file) => readFileSync(pem(file), 'utf8').trim().replaceAll('\n', '\\n')).join('\\n');

/** The settings of a listener by TLS with the tests' certificates. @param name in lower case */
export function tlsSettings(name: string): Record<string, string> {
  const settings = {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': inline('server.pem', 'ca.pem'),
    'ssl.keystore.key': inline('server.key'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.certificates': inline('ca.pem'),
  };
  return Object.fromEntries(Object.entries(settings).map(([setting, value]) => [`listener.name.${name}.${setting}`, value]));
}

/** The line of Kafka's settings that makes a login module required. */
export function jaas(module: string, options = ''): string {
  return `org.apache.kafka.common.security.${module} required${options};`;
}
