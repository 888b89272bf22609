import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { boundedLogin } from './bounded-login.js';
import { TenantKafkaFailure, failureOf } from './tenant-kafka.failure.js';
import { TenantKafka } from './tenant-kafka.js';

/** A server that answers each request with these bytes, whatever it asks. */
async function startHostile(answer: Buffer): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => void socket.write(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function failureAt(port: number): Promise<TenantKafkaFailure> {
  const dial = (host: string, at: number) => connect(at, host);
  const options = { brokers: [`127.0.0.1:${port}`], clientId: 'test', dial, isFinal: () => false };
  const error = await TenantKafka.connect(options, { signal: AbortSignal.timeout(2_000) }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(TenantKafkaFailure);
  return error as TenantKafkaFailure;
}

const int32 = (...numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * numbers.length);
  for (const [at, number] of numbers.entries()) bytes.writeInt32BE(number, 4 * at);
  return bytes;
};

test.each([
  ['a negative length', int32(-4, 0), 'a response of -4 bytes'],
  ['a length that no response has', int32(2_000_000_000, 0), 'a response of 2000000000 bytes'],
  ['a length without room for an id', int32(2, 0), 'a response of 2 bytes'],
  ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'a response of'],
])('a broker that answers %s ends the session, and nothing else', async (_, answer, said) => {
  const failure = await failureAt(await startHostile(answer));
  expect(failure).toMatchObject({ kind: 'connection', isUncertain: false, message: expect.stringContaining(said) as string });
});

test('a broker that answers nonsense of a fitting length ends the session, and nothing else', async () => {
  const failure = await failureAt(await startHostile(Buffer.concat([int32(16, 0), int32(2_147_483_647, -1, 7)])));
  expect(failure.isUncertain).toBe(false);
});

test('a broker that asks for many rounds of hashing is not obeyed', async () => {
  const login = { mechanism: 'scram-sha-512', username: 'ada', password: 'secret' } as const;
  const asked: unknown[] = [];
  const saslAuthenticate = async (message: unknown) => {
    asked.push(message);
    return { i: '2147483647 rounds', r: 'nonce', s: 'c2FsdA==' };
  };
  const logger = { debug: () => undefined, error: () => undefined };
  const { authenticate } = boundedLogin(login).authenticationProvider({ saslAuthenticate, host: 'a', port: 1, logger } as never);
  await expect(authenticate()).rejects.toThrow('2147483647 iterations');
  expect(asked).toHaveLength(1);
});

const answer = (type: string, retriable: boolean): Error =>
  Object.assign(new Error('no'), { name: 'KafkaJSProtocolError', type, retriable });

test.each<[string, boolean, boolean, boolean, boolean]>([
  ['NOT_ENOUGH_REPLICAS', true, true, false, true],
  ['NOT_LEADER_FOR_PARTITION', true, true, false, true],
  ['NOT_ENOUGH_REPLICAS_AFTER_APPEND', true, true, true, true],
  ['REQUEST_TIMED_OUT', true, true, true, true],
  ['REQUEST_TIMED_OUT', true, false, false, true],
  ['UNKNOWN_TOPIC_OR_PARTITION', true, false, false, false],
  ['UNKNOWN_TOPIC_OR_PARTITION', true, true, false, true],
  ['MESSAGE_TOO_LARGE', false, true, false, false],
])('the answer %s (retriable: %s, sent: %s) is uncertain: %s, and may pass: %s', (type, retriable, wasSent, isUncertain, mayPass) => {
  const failure = failureOf(answer(type, retriable), { wasSent, socketError: undefined, isFinal: false });
  expect(failure).toMatchObject({ kind: 'answer', type, isUncertain, mayPass });
});

test('a failure that kafkajs wraps keeps its meaning', () => {
  const wrapped = Object.assign(new Error('no', { cause: answer('SASL_AUTHENTICATION_FAILED', false) }), {
    name: 'KafkaJSNonRetriableError',
  });
  expect(failureOf(wrapped, { wasSent: false, socketError: undefined, isFinal: false })).toMatchObject({ kind: 'login' });
});
