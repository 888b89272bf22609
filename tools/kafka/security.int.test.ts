import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { customerKey, name, recordType } from '#libs/contracts';
import type { Topic } from '#libs/contracts';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import type { LogSecurity } from '#libs/messaging';
import { freePort } from '#libs/ports';
import { uniqueName } from '#libs/testing';
import { startKafkaCluster } from './cluster.js';
import type { KafkaCluster } from './cluster.js';
import { javaRunsKafka } from './java.js';
import { jaas, pem, tlsSettings } from './secured-listener.js';

const Noted = recordType('noted.v1', z.object({ tenant: name, customer: customerKey, n: z.number() }));
const password = 'password-of-millrace';

/** A listener that wants a client certificate, and one that wants a login. Brokers and the test's own check go on in the clear. */
function secured(mutual: number, login: number): (node: { broker: string; controller: string }) => Record<string, string> {
  return ({ broker, controller }) => {
    const clients = `MUTUAL://127.0.0.1:${mutual},LOGIN://127.0.0.1:${login}`;
    return {
      listeners: `PLAINTEXT://${broker},CONTROLLER://${controller},${clients}`,
      'advertised.listeners': `PLAINTEXT://${broker},${clients}`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MUTUAL:SSL,LOGIN:SASL_SSL',
      ...tlsSettings('mutual'),
      ...tlsSettings('login'),
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.login.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      'listener.name.login.plain.sasl.jaas.config': jaas('plain.PlainLoginModule', ` user_millrace="${password}"`),
      'listener.name.login.scram-sha-256.sasl.jaas.config': jaas('scram.ScramLoginModule'),
      'listener.name.login.scram-sha-512.sasl.jaas.config': jaas('scram.ScramLoginModule'),
      'listener.name.login.oauthbearer.sasl.jaas.config': jaas(
        'oauthbearer.OAuthBearerLoginModule',
        ' unsecuredLoginStringClaim_sub="broker"',
      ),
    };
  };
}

/** A token endpoint. Its tokens have no signature, which a Kafka without a validator of its own takes. */
async function startTokenEndpoint(): Promise<{ server: Server; url: string; asked: { headers: IncomingHttpHeaders; body: string }[] }> {
  const asked: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      asked.push({ headers: request.headers, body });
      const isKnown = request.headers.authorization === `Basic ${Buffer.from('millrace:s%3Acret').toString('base64')}`;
      if (!isKnown) return response.writeHead(401).end('no');
      const seconds = Math.floor(Date.now() / 1_000);
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const token = `${part({ alg: 'none' })}.${part({ sub: 'millrace', iat: seconds, exp: seconds + 600 })}.`;
      response.writeHead(200, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ access_token: token, token_type: 'bearer', expires_in: 600 }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, asked };
}

describe.skipIf(!(await javaRunsKafka()))('a Kafka that lets only known clients in', () => {
  let kafka: KafkaCluster;
  let tokens: Awaited<ReturnType<typeof startTokenEndpoint>>;
  let [mutual, login] = [0, 0];
  beforeAll(async () => {
    [mutual, login] = [await freePort(), await freePort()];
    kafka = await startKafkaCluster({ nodes: 1, settings: secured(mutual, login), users: { millrace: password } });
    tokens = await startTokenEndpoint();
  }, 60_000);
  afterAll(async () => {
    tokens.server.close();
    await kafka.stop();
  });

  const tls = { caFile: pem('ca.pem') };
  const ofClient = { certificateFile: pem('client.pem'), keyFile: pem('client.key') };
  const oauth = (clientSecret: string) => ({ mechanism: 'oauthbearer' as const, tokenUrl: tokens.url, clientId: 'millrace', clientSecret });

  /** Creates a topic and appends a record, as a service does. */
  async function use(port: number, security: LogSecurity): Promise<string> {
    const topic: Topic = { name: uniqueName('secured'), partitions: 1, retentionMs: 3_600_000, types: [Noted] };
    const log = { brokers: [`127.0.0.1:${port}`], clientId: 'test', security };
    await ensureTopics(log, [topic]);
    const producer = new RecordProducer(log);
    await producer.connect();
    try {
      return (await producer.append(topic, Noted, { tenant: 'acme', customer: 'c', n: 1 })).offset;
    } finally {
      await producer.disconnect();
    }
  }

  test('knows a service by its certificate', async () => {
    expect(await use(mutual, { tls: { ...tls, ...ofClient } })).toBe('0');
  });

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('knows a service by a password: %s', async (mechanism) => {
    expect(await use(login, { tls, sasl: { mechanism, username: 'millrace', password } })).toBe('0');
  });

  test('knows a service by a token, which is fetched once', async () => {
    const before = tokens.asked.length;
    expect(await use(login, { tls, sasl: { ...oauth('s:cret'), scope: 'log' } })).toBe('0');
    const [first, ...others] = tokens.asked.slice(before);
    expect(first!.body).toBe('grant_type=client_credentials&scope=log');
    expect(others.length).toBeLessThanOrEqual(1); // one for each client
  });

  test.each([
    ['no certificate', 'mutual', () => ({ tls })],
    [
      'a server whose authority is not known',
      'login',
      () => ({ tls: {}, sasl: { mechanism: 'plain' as const, username: 'millrace', password } }),
    ],
    ['a wrong password', 'login', () => ({ tls, sasl: { mechanism: 'scram-sha-512' as const, username: 'millrace', password: 'wrong' } })],
    ['a client that the token endpoint does not know', 'login', () => ({ tls, sasl: oauth('wrong') })],
    ['a file that is gone', 'mutual', () => ({ tls: { ...tls, certificateFile: '/nothing', keyFile: '/nothing' } })],
  ] as const)(
    'ends in an error that names no secret: %s',
    async (_, listener, security) => {
      const failure = await use(listener === 'mutual' ? mutual : login, security()).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(Error);
      expect(String((failure as Error).stack)).not.toMatch(/password-of|s:cret|wrong/);
    },
    60_000,
  );

  test('takes a renewed certificate from the next connection on', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-certificates-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const own = { certificateFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    copyFileSync(pem('ca.pem'), own.certificateFile); // another one's certificate
    copyFileSync(pem('client.key'), own.keyFile);
    const security = { tls: { ...tls, ...own } };
    await expect(use(mutual, security)).rejects.toThrow(/log/i);
    copyFileSync(pem('client.pem'), own.certificateFile);
    expect(await use(mutual, security)).toBe('0');
  }, 60_000);
});
