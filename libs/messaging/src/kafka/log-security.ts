import { Socket, isIP } from 'node:net';
import { connect } from 'node:tls';
import type { ISocketFactory, SASLOptions } from 'kafkajs';
import { readTlsFiles } from '#libs/tls';
import type { TlsFiles } from '#libs/tls';
import { ClientCredentials } from './client-credentials.js';
import type { ClientCredentialsOptions } from './client-credentials.js';

/** How connections to the log are encrypted, and whom the log takes this process for. */
export interface LogSecurity {
  /** Undefined: connections are not encrypted. */
  readonly tls?: TlsFiles | undefined;
  /** Undefined: the log knows this process by its certificate, or not at all. */
  readonly sasl?: SaslLogin | undefined;
}

export type SaslLogin =
  | { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string }
  | ({ readonly mechanism: 'oauthbearer' } & ClientCredentialsOptions);

/** The options of kafkajs for it. */
export function securityOptions({ tls, sasl }: LogSecurity = {}): { ssl?: boolean; socketFactory?: ISocketFactory; sasl?: SASLOptions } {
  return {
    ...(tls === undefined ? {} : { ssl: true, socketFactory: tlsSockets(tls) }),
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
  };
}

/** The same as kafkajs' own sockets have. */
const keepAliveMs = 60_000;

function tlsSockets(files: TlsFiles): ISocketFactory {
  return ({ host, port, onConnect }) => {
    try {
      const socket = connect(
        {
          host,
          port,
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...readTlsFiles(files, 'log'),
        },
        onConnect,
      );
      return socket.setKeepAlive(true, keepAliveMs);
    } catch (error) {
      // kafkajs listens for errors of the socket, and not for those of the factory.
      return new Socket().destroy(error as Error);
    }
  };
}

function saslOptions(login: SaslLogin): SASLOptions {
  if (login.mechanism !== 'oauthbearer') return login;
  const credentials = ClientCredentials.for(login);
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await credentials.token() }) };
}
