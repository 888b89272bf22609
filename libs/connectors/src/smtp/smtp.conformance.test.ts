import { describe, expect, test } from 'vitest';
import type { Login } from '#libs/connections';
import { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { startMailServer, testCertificates } from '#libs/testing';
import type { MailServer } from '#libs/testing';
import { Connectors } from '../connectors.js';
import { driverConformance } from '../driver.conformance.js';

const credential = { username: 'ada', password: 'secret/of-the+mailbox' };
const input = { to: 'bob@example.com', subject: 'Hello', text: 'Hello' };
const settingsOf = (port: number) => ({
  host: '127.0.0.1',
  port,
  tls: 'starttls',
  ca: testCertificates.authority,
  from: 'ada@example.com',
});

async function startPeer(options: Parameters<typeof startMailServer>[0] = { credential }) {
  const server = await startMailServer(options);
  return {
    server,
    url: `smtp://127.0.0.1:${server.port}`,
    get connections() {
      return server.connections;
    },
    get open() {
      return server.open;
    },
    disconnect: () => server.disconnect(),
    stop: () => server.stop(),
  };
}
const seenOf = (read: (mail: MailServer['mails'][number]) => unknown) => (peer: { server: MailServer }) => read(peer.server.mails.at(-1)!);
const trimmed = (text: string): string => text.trim();

driverConformance({
  name: 'smtp',
  start: () => startPeer(),
  settings: ({ server }) => settingsOf(server.port),
  login: () => credential,
  writes: [{ operation: 'send', input, effects: ({ server }) => server.mails.length }],
  loseAnswer: ({ server }) => server.fault('lose'),
  faults: [
    {
      name: 'no answer after the mail',
      prepare: ({ server }) => server.fault('hang'),
      code: 'operation.timeout',
      isUncertain: true,
      timeoutMs: 500,
    },
    {
      name: 'a connection that ends after the mail',
      prepare: ({ server }) => server.fault('drop'),
      code: 'operation.unavailable',
      isUncertain: true,
      effects: 1,
    },
    { name: 'a connection that ends before the mail', prepare: ({ server }) => server.fault('cut'), code: 'operation.unavailable' },
    {
      name: 'a refused recipient',
      prepare: ({ server }) => server.fault({ at: 'rcpt', code: 550, text: 'no such user' }),
      code: 'operation.refused',
    },
    {
      name: 'a recipient that is greylisted',
      prepare: ({ server }) => server.fault({ at: 'rcpt', code: 451, text: 'later' }),
      code: 'operation.unavailable',
    },
    {
      name: 'a refused sender',
      prepare: ({ server }) => server.fault({ at: 'from', code: 553, text: 'not yours' }),
      code: 'operation.refused',
    },
    { name: 'a refused mail', prepare: ({ server }) => server.fault({ at: 'data', code: 554, text: 'spam' }), code: 'operation.refused' },
    {
      name: 'a mail that is not taken for now',
      prepare: ({ server }) => server.fault({ at: 'data', code: 452, text: 'full' }),
      code: 'operation.unavailable',
    },
    {
      name: 'a server that is overloaded',
      prepare: ({ server }) => server.fault({ at: 'connect', code: 421, text: 'busy' }),
      code: 'operation.unavailable',
    },
    {
      name: 'a refused credential',
      prepare: ({ server }) => server.fault({ at: 'auth', code: 535, text: 'no' }),
      code: 'operation.unauthorized',
    },
    {
      name: 'a login that fails for now',
      prepare: ({ server }) => server.fault({ at: 'auth', code: 454, text: 'later' }),
      code: 'operation.unavailable',
    },
  ],
  hostile: [
    {
      name: 'the subject',
      operation: 'send',
      input: (text) => ({ ...input, subject: text }),
      seen: seenOf(({ headers }) => headers.get('subject')),
      expected: trimmed,
    },
    {
      name: 'the text',
      operation: 'send',
      input: (text) => ({ ...input, text }),
      seen: seenOf(({ body }) => body),
      expected: (text) => text.replaceAll(/\r?\n/g, '\r\n'),
    },
    {
      name: 'the address of a recipient',
      operation: 'send',
      input: (text) => ({ ...input, to: [`bob${text}@example.com`] }),
      seen: seenOf(({ to }) => to.join(' ')),
      expected: (text) => `bob${text}@example.com`,
    },
    {
      name: 'a header',
      operation: 'send',
      input: (text) => ({ ...input, headers: { 'X-Order': text } }),
      seen: seenOf(({ headers }) => headers.get('x-order')),
      expected: trimmed,
    },
  ],
});

describe('a mail', () => {
  async function sent(mail: Json, options?: Parameters<typeof startMailServer>[0], login: Partial<Login> = credential, more: object = {}) {
    const peer = await startPeer(options);
    const http = new HttpClient({ allowPrivateAddresses: false, allowedUrls: [peer.url] });
    const connectors = new Connectors({ http });
    const authorizer = {
      login: () => Promise.resolve({ ...login, secrets: [], version: 1 }),
      accepted: () => undefined,
      refused: () => Promise.resolve(false),
      account: () => Promise.resolve({}),
      authorize: () => Promise.reject(new Error('no HTTP')),
    };
    const settings = { ...settingsOf(peer.server.port), ...more };
    const connection = { tenant: 'acme', name: 'mail', connector: 'smtp', settings, authorizer, timeoutMs: 5_000 };
    const { signal } = new AbortController();
    const firstAttemptAt = new Date('2026-11-30T10:00:00.000Z');
    try {
      const call = { connection, operation: 'send', input: mail, effectKey: 'key-1', firstAttemptAt, signal };
      const result = await connectors.run(call);
      return { ...result, mails: peer.server.mails, logins: peer.server.logins };
    } finally {
      await connectors.close();
      await http.close();
      await peer.stop();
    }
  }

  test('has the same Message-ID and date on every attempt', async () => {
    const { mails, output } = await sent(input);
    expect(mails[0]!.headers.get('message-id')).toBe('<key-1@example.com>');
    expect(output).toMatchObject({ messageId: '<key-1@example.com>', accepted: ['bob@example.com'], rejected: [] });
    expect(mails[0]!.headers.get('date')).toBe('Mon, 30 Nov 2026 10:00:00 +0000');
  });

  test.each([
    'b@x>\r\nRCPT TO:<evil@x',
    'b@x.example, evil@x.example',
    'Bob <b@x.example>',
    '"b c"@x.example',
    'b@x.example>',
    'b@[127.0.0.1]',
    'b@',
    '@x.example',
    'b',
    'b..c@x.example',
    'b@x_y.example',
    'bü@x.example',
    ' b@x.example',
  ])('goes to nobody if an address is none: %j', async (address) => {
    await expect(sent({ ...input, to: address })).rejects.toMatchObject({ code: 'operation.inputInvalid' });
    await expect(sent({ ...input, bcc: [{ address, name: 'x' }] })).rejects.toMatchObject({ code: 'operation.inputInvalid' });
  });

  test('goes to each recipient once, and nobody sees the blind copies', async () => {
    const { mails } = await sent({
      ...input,
      to: ['bob@example.com', { name: 'Carol, "the" boss', address: 'carol@bücher.example' }],
      cc: 'bob@example.com',
      bcc: 'dave@example.com',
    });
    expect(mails[0]!.to).toEqual(['bob@example.com', 'carol@bücher.example', 'dave@example.com']);
    expect(mails[0]!.raw).not.toContain('dave@example.com');
    expect(mails[0]!.headers.get('to')).toContain('carol@xn--bcher-kva.example');
  });

  test('tells the recipients that were refused while others were not', async () => {
    const fault = { at: 'rcpt', code: 550, text: 'no such user', address: 'nobody@example.com' } as const;
    const { output, receipt } = await withFault(fault);
    expect(output).toMatchObject({
      accepted: ['bob@example.com'],
      rejected: [{ address: 'nobody@example.com', code: 550, response: '550 no such user' }],
    });
    expect(receipt.summary).toContain('1 of 2 recipients refused');
  });

  async function withFault(fault: Parameters<MailServer['fault']>[0]) {
    const peer = await startPeer();
    peer.server.fault(fault);
    const http = new HttpClient({ allowPrivateAddresses: true });
    const connectors = new Connectors({ http });
    const authorizer = {
      login: () => Promise.resolve({ ...credential, secrets: [], version: 1 }),
      accepted: () => undefined,
      refused: () => Promise.resolve(false),
      account: () => Promise.resolve({}),
      authorize: () => Promise.reject(new Error('no HTTP')),
    };
    const settings = settingsOf(peer.server.port);
    const connection = { tenant: 'acme', name: 'mail', connector: 'smtp', settings, authorizer, timeoutMs: 5_000 };
    const { signal } = new AbortController();
    const mail = { ...input, to: ['bob@example.com', 'nobody@example.com'] };
    const result = await connectors.run({ connection, operation: 'send', input: mail, effectKey: 'key-1', signal });
    await connectors.close();
    await http.close();
    await peer.stop();
    return result;
  }

  test('asks for delivery status notifications', async () => {
    const { mails } = await sent({ ...input, dsn: { notify: ['success', 'failure'] } });
    expect(mails[0]!.notify).toEqual([['SUCCESS', 'FAILURE']]);
  });

  test.each(['Bcc', 'From', 'Content-Type', 'Message-ID', 'x y', 'X-A: b\r\nBcc', ''])('takes no header %j', async (name) => {
    await expect(sent({ ...input, headers: { [name]: 'x' } })).rejects.toMatchObject({ code: 'operation.inputInvalid' });
  });

  test('is sent over an implicitly encrypted session, too', async () => {
    const { mails } = await sent(input, { credential, isImplicitTls: true }, credential, { tls: 'implicit' });
    expect(mails).toHaveLength(1);
  });

  test('is sent with an access token', async () => {
    const token = { username: 'ada@example.com', token: 'ya29.token' };
    const { logins } = await sent(input, { credential: token }, { token: token.token }, { username: token.username });
    expect(logins).toEqual(['XOAUTH2 ada@example.com']);
  });

  test('goes to no server whose certificate is another one', async () => {
    const wrong = sent(input, { credential }, credential, { ca: testCertificates.other.cert });
    await expect(wrong).rejects.toMatchObject({ code: 'operation.unavailable', isUncertain: false });
  });

  test('never has its credential sent in the clear', async () => {
    await expect(sent(input, { credential }, credential, { tls: 'none' })).rejects.toThrow(/encrypted only/);
    const { mails } = await sent(input, {}, {}, { tls: 'none' });
    expect(mails).toHaveLength(1);
  });
});
