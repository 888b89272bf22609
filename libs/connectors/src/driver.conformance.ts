import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Authorizer, Login } from '#libs/connections';
import type { Json } from '#libs/json';
import { waitFor } from '#libs/testing';
import { builtInConnectors } from './built-in.js';
import type { OperationResult } from './connector.js';
import { ConnectorHarness, failureOf, hostileTexts } from './harness.conformance.js';
import { OperationFailure } from './operation.errors.js';

/** A real system that a driver is tested with. */
export interface DrivenPeer {
  /** Its address, by which it is allowed although it is not public. */
  readonly url: string;
  /** How many connections there were to it. */
  readonly connections: number;
  /** How many there are. */
  readonly open: number;
  /** Ends the connections of its clients. */
  disconnect(): Promise<void> | void;
  stop(): Promise<void>;
}

/** An operation that writes, with what the system has of it. */
export interface DrivenWrite<P extends DrivenPeer> {
  readonly operation: string;
  readonly input: Json;
  /** How often the system did what the input asks for. */
  readonly effects: (peer: P) => Promise<number> | number;
}

/** A failure that the system is made to have at the first write of the suite. */
export interface DrivenFault<P extends DrivenPeer> {
  readonly name: string;
  readonly prepare: (peer: P) => Promise<void> | void;
  readonly code: `operation.${string}`;
  /** True if the operation may have taken effect. */
  readonly isUncertain?: boolean;
  /** How often it took effect. Default: not at all. */
  readonly effects?: number;
  /** Default: ample. */
  readonly timeoutMs?: number;
  /** The operation that fails. Default: the first write. */
  readonly call?: { readonly operation: string; readonly input: Json };
}

/** A text of the input that reaches the system, and that text as the system has it. */
export interface DrivenHostilePlace<P extends DrivenPeer> {
  readonly name: string;
  readonly operation: string;
  readonly input: (text: string) => Json;
  /** Undefined if nothing arrived. */
  readonly seen: (peer: P, result: OperationResult) => unknown;
  /** The text as it should arrive. Default: as it is. */
  readonly expected?: (text: string) => unknown;
}

/** The parts that a driver brings to the suite. */
export interface DriverSuite<P extends DrivenPeer> {
  readonly name: string;
  readonly start: () => Promise<P>;
  readonly settings: (peer: P) => { readonly [name: string]: Json };
  /** The same settings with another host. Default: in the setting `host`. */
  readonly settingsAt?: (peer: P, host: string) => { readonly [name: string]: Json };
  /** A credential that the system takes. */
  readonly login: (peer: P) => Omit<Login, 'version' | 'secrets'>;
  readonly writes: readonly [DrivenWrite<P>, ...DrivenWrite<P>[]];
  /** The failures of the system: each kind once at least. */
  readonly faults: readonly DrivenFault<P>[];
  /** Makes the system keep what the next write does, and not answer. */
  readonly loseAnswer: (peer: P) => Promise<void> | void;
  readonly hostile: readonly DrivenHostilePlace<P>[];
}

/** The rules that hold for every driver. Each driver's conformance test runs them against a real system. */
export function driverConformance<P extends DrivenPeer>(parts: DriverSuite<P>): void {
  const { name, start, settings, login, writes, faults, loseAnswer, hostile } = parts;
  describe(`the driver of ${name}`, () => {
    const spec = builtInConnectors().get(name)!;
    const [first] = writes;
    let peer: P;
    let harness: ConnectorHarness<DrivenAuthorizer>;

    beforeEach(async () => {
      peer = await start();
      const authorizer = new DrivenAuthorizer(login(peer));
      harness = new ConnectorHarness({ name, url: peer.url, settings: () => settings(peer), authorizer });
    });
    afterEach(async () => {
      await harness.close();
      await peer.stop();
    });

    const run = (operation: string, input: Json, timeoutMs?: number): Promise<OperationResult> => harness.run(operation, input, timeoutMs);
    const runFirst = (timeoutMs?: number): Promise<OperationResult> => run(first.operation, first.input, timeoutMs);

    test.each(writes)('$operation acts once, and its output fits its schema', async ({ operation, input, effects }) => {
      const { receipt } = await run(operation, input);
      expect(receipt.summary).toMatch(/\S/);
      expect(await effects(peer)).toBe(1);
      expect(harness.authorizer.acceptances).toBe(1);
    });

    test.each(writes)('$operation after an answer that was lost keeps its promise', async ({ operation, input, effects }) => {
      await loseAnswer(peer);
      // Time enough to connect on a busy machine: what ended before would be certain.
      expect(await failureOf(run(operation, input, 2_000))).toMatchObject({ outcome: 'retry', isUncertain: true });
      await waitFor(async () => (await effects(peer)) === 1, { what: 'the effect' });
      if (spec.operations[operation]!.idempotency?.class === 'none') return;
      await run(operation, input);
      expect(await effects(peer)).toBe(1);
    });

    test.each(faults)(
      'a failure means what it is: $name',
      async ({ prepare, code, isUncertain = false, effects = 0, timeoutMs, call = first }) => {
        await prepare(peer);
        const failed = await failureOf(run(call.operation, call.input, timeoutMs));
        expect(failed).toMatchObject({ code, isUncertain });
        expect(await first.effects(peer)).toBe(effects);
        expect(harness.authorizer).toMatchObject({ refusals: code === 'operation.unauthorized' ? 1 : 0, acceptances: 0 });
      },
    );

    test('a refused credential is replaced and used once more, if there is another one', async () => {
      harness.authorizer.isStale = true;
      harness.authorizer.hasNewer = true;
      await runFirst();
      expect(await first.effects(peer)).toBe(1);
      expect(harness.authorizer.refusals).toBe(1);
    });

    test('a refused credential stays out of the failure, whatever the system says', async () => {
      harness.authorizer.isStale = true;
      const failed = await failureOf(runFirst());
      expect(failed.code).toBe('operation.unauthorized');
      const everything = inspect(failed, { depth: Infinity, maxStringLength: Infinity });
      for (const secret of harness.authorizer.staleSecrets) expect(everything).not.toContain(secret);
    });

    test('a system that is not there was sent nothing', async () => {
      const away = harness.call(first.operation, first.input);
      await peer.stop();
      expect(await failureOf(harness.connectors.run(away))).toMatchObject({ peer: 'unreachable', isUncertain: false, receipt: null });
    });

    test('nothing is sent once the claim of what asked for it is over', async () => {
      await runFirst(); // a session is kept
      for (const operation of writes) {
        const before = await operation.effects(peer);
        const call = { ...harness.call(operation.operation, operation.input), effectKey: 'key-2' };
        const lost = new Error('the claim is over');
        const requireClaim = (): never => {
          throw lost;
        };
        await expect(harness.connectors.run({ ...call, requireClaim })).rejects.toBe(lost);
        expect(await operation.effects(peer)).toBe(before);
      }
    });

    test('an abort ends the operation with the reason of the signal', async () => {
      await loseAnswer(peer);
      const ended = runFirst().catch((error: unknown) => error);
      await waitFor(async () => (await first.effects(peer)) === 1, { what: 'the effect' });
      harness.abort(new Error('the process stops'));
      expect(await ended).toMatchObject({ message: 'the process stops' });
    });

    const { settingsAt = (of: P, host: string) => ({ ...settings(of), host }) } = parts;
    test.each([
      ['by its address', '127.0.0.1'],
      ['by a name that resolves to it', 'localhost'],
    ])('reaches no inner address unless it is allowed: %s', async (_, host) => {
      const call = harness.call(first.operation, first.input);
      const inner = { ...call, connection: { ...call.connection, settings: settingsAt(peer, host) } };
      const before = peer.connections;
      const failed = await harness.guarded((connectors) => failureOf(connectors.run(inner)));
      expect(failed).toMatchObject({ code: 'operation.addressForbidden', outcome: 'deadLetter' });
      expect(peer.connections).toBe(before);
    });

    test.each(hostile)(
      'hands over any text as it is, or refuses it: $name',
      async ({ operation, input, seen, expected = (text) => text }) => {
        for (const text of hostileTexts) {
          const result = await run(operation, input(text)).catch((error: unknown) => error);
          if (result instanceof OperationFailure) expect([text, result.code]).toEqual([text, 'operation.inputInvalid']);
          else expect([text, await seen(peer, result as OperationResult)]).toEqual([text, expected(text)]);
        }
      },
    );

    test('refuses an input that does not fit its schema, and connects to nothing', async () => {
      const before = peer.connections;
      expect(await failureOf(run(first.operation, ['no object']))).toMatchObject({ code: 'operation.inputInvalid', outcome: 'deadLetter' });
      expect(peer.connections).toBe(before);
    });

    test('can be tested without an effect', async () => {
      expect(await harness.check()).toBeDefined();
      harness.authorizer.isStale = true;
      const failed = await failureOf(harness.check());
      expect(failed.code).toBe('operation.unauthorized');
      expect(await first.effects(peer)).toBe(0);
    });

    test('a session is used again, and a new one opened if the system ended it', async () => {
      const before = peer.connections;
      await runFirst();
      await runFirst();
      expect(peer.connections).toBe(before + 1);
      await peer.disconnect();
      await runFirst();
      expect(peer.connections).toBe(before + 2);
    });

    test('a session of one credential serves no other one', async () => {
      const before = peer.connections;
      await runFirst();
      harness.authorizer.version += 1;
      await runFirst();
      expect(peer.connections).toBe(before + 2);
    });

    test('no session is left after the end', async () => {
      const before = peer.open;
      await runFirst();
      await harness.connectors.close();
      await waitFor(() => peer.open <= before, { what: 'the end of all sessions' });
    });
  });
}

class DrivenAuthorizer implements Authorizer {
  refusals = 0;
  acceptances = 0;
  hasNewer = false;
  /** True until a newer one is asked for. */
  isStale = false;
  version = 1;
  readonly staleSecrets = ['not/the+password of anybody', 'not-the-token-of-anybody'];

  constructor(private readonly credential: Omit<Login, 'version' | 'secrets'>) {}

  async login(): Promise<Login> {
    const { password, token } = this.credential;
    const [oldPassword, oldToken] = this.staleSecrets as [string, string];
    const stale = {
      ...(password === undefined ? {} : { password: oldPassword }),
      ...(token === undefined ? {} : { token: oldToken }),
    };
    const login = { ...this.credential, ...(this.isStale ? stale : {}) };
    const secrets = [login.password, login.token].filter((secret) => secret !== undefined);
    return { ...login, secrets, version: this.version };
  }

  accepted(): void {
    this.acceptances += 1;
  }

  async refused(): Promise<boolean> {
    this.refusals += 1;
    if (this.hasNewer) this.isStale = false;
    return this.hasNewer;
  }

  authorize(): Promise<never> {
    return Promise.reject(new Error('a driver sends no requests of HTTP'));
  }

  async account(): Promise<Readonly<Record<string, string>>> {
    return {};
  }
}
