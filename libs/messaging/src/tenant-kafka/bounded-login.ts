import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** A user and password, and how they are proved (RFC 4616, RFC 5802). */
export interface TenantKafkaLogin {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

/** The exchange of a login. kafkajs hands each message to `saslAuthenticate`. */
interface Exchange {
  readonly saslAuthenticate: (message: unknown) => Promise<{ readonly i?: string } | undefined>;
}

type Provider = (exchange: Exchange) => { readonly authenticate: () => Promise<void> };

/** Kafka's own default is 4096, and its largest 16 384. */
const mostIterations = 100_000;

const providers = {
  plain: 'plain',
  'scram-sha-256': 'scram256',
  'scram-sha-512': 'scram512',
} as const;

/**
 * The login as an option of kafkajs. A broker of SCRAM says how often the password is hashed: with any number, it could keep all threads of the process
 * busy for hours. A connection that breaks during the login is none that refused it, though kafkajs says so.
 */
export function boundedLogin(login: TenantKafkaLogin): { readonly mechanism: string; readonly authenticationProvider: Provider } {
  const { mechanism } = login;
  const provider = require(`kafkajs/src/broker/saslAuthenticator/${providers[mechanism]}.js`) as (sasl: TenantKafkaLogin) => Provider;
  return {
    mechanism,
    authenticationProvider: (exchange) => {
      let broken: Error | undefined;
      const saslAuthenticate: Exchange['saslAuthenticate'] = async (message) => {
        const answer = await exchange.saslAuthenticate(message).catch((error: Error) => {
          if (error.name.startsWith('KafkaJSConnection')) broken = error;
          throw error;
        });
        const iterations = Number.parseInt(answer?.i ?? '0', 10);
        if (iterations > mostIterations) throw new Error(`The broker asks for ${iterations} iterations of SCRAM`);
        return answer;
      };
      const { authenticate } = provider(login)({ ...exchange, saslAuthenticate });
      return {
        authenticate: async () => {
          try {
            await authenticate();
          } catch (error) {
            throw broken ?? error;
          }
        },
      };
    },
  };
}
