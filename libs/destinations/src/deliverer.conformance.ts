import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Receipt } from '#libs/connectors';
import type { DestinationKind, DestinationSpecOf } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import { DeliveryFailure } from './delivery.errors.js';
import type { Deliverer, OutboundDelivery } from './deliverer.js';

/**
 * How a stand-in treats the deliveries that come next: takes them, refuses the payload for good, says that it is broken, asks for a pause of
 * {@link pauseMs}, refuses the credential, says that it wants nothing more, never responds, breaks the connection off once it has the payload, or takes them and responds without end.
 */
export type PeerBehaviour = 'accept' | 'refuse' | 'fail' | 'limit' | 'unauthorized' | 'gone' | 'hang' | 'cut' | 'endless';

/** The pause that a stand-in which behaves as `limit` asks for. */
export const pauseMs = 7_000;

/** A peer of the deliverer's protocol on loopback, which behaves as the suite says. */
export interface StandIn<K extends DestinationKind> {
  /** A destination at this peer whose credentials are {@link secrets}. */
  destination(timeoutMs: number): DestinationSpecOf<K>;
  behave(behaviour: PeerBehaviour): void;
  /** Every delivery that arrived, whatever the response to it was. */
  readonly received: readonly Pick<OutboundDelivery, 'id' | 'payload'>[];
  /** The credentials that it is sent. It repeats them in every response that carries text. */
  readonly secrets: readonly string[];
  stop(): Promise<void>;
}

/** The parts that a deliverer brings to the suite. */
export interface Conformance<K extends DestinationKind> {
  readonly kind: K;
  readonly create: (http: HttpClient) => Deliverer<K>;
  readonly startStandIn: () => Promise<StandIn<K>>;
}

const delivery: OutboundDelivery = {
  tenant: 'acme',
  reachedAt: null,
  id: 'dlv_1',
  payload: '{"z":1,"a":"ä \\u0000"}',
  traceparent: undefined,
  requireClaim: () => undefined,
};
const longTimeoutMs = 10_000;
const longestExcerpt = 16 * 1_024;

/** The rules of the contract that hold for every deliverer. Each deliverer's `<kind>.conformance.test.ts` runs them against its own stand-in. */
export function delivererConformance<K extends DestinationKind>({ kind, create, startStandIn }: Conformance<K>): void {
  describe(`the deliverer ${kind}`, () => {
    let peer: StandIn<K>;
    let http: HttpClient;
    let deliverer: Deliverer<K>;
    let stop: AbortController;

    beforeEach(async () => {
      peer = await startStandIn();
      http = new HttpClient({ allowPrivateAddresses: true });
      deliverer = create(http);
      stop = new AbortController();
    });
    afterEach(async () => {
      await http.close();
      await peer.stop();
    });

    const deliver = (timeoutMs = longTimeoutMs): Promise<Receipt> => deliverer.deliver(delivery, peer.destination(timeoutMs), stop.signal);
    const failure = async (timeoutMs?: number): Promise<DeliveryFailure> => {
      const error = await deliver(timeoutMs).then(
        (receipt) => new Error(`it was taken: ${receipt.summary}`),
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(DeliveryFailure);
      return error as DeliveryFailure;
    };

    test('hands over the payload byte for byte under its effect key, and returns what came back', async () => {
      const receipt = await deliver();
      expect(receipt.summary).toMatch(/\S/);
      expect(peer.received).toEqual([{ id: delivery.id, payload: delivery.payload }]);
    });

    test('sends every attempt of a delivery under the same effect key', async () => {
      peer.behave('fail');
      await failure();
      peer.behave('accept');
      await deliver();
      expect(peer.received.map(({ id }) => id)).toEqual([delivery.id, delivery.id]);
    });

    test.each([
      ['refuse', { outcome: 'deadLetter', peer: 'up', isUncertain: false }],
      ['fail', { outcome: 'retry', peer: 'failing' }],
      ['limit', { outcome: 'retry', peer: 'limited', retryAfterMs: pauseMs, isUncertain: false }],
      ['unauthorized', { outcome: 'retry', code: 'delivery.unauthorized', peer: 'unauthorized', isUncertain: false }],
      ['gone', { outcome: 'deadLetter', code: 'delivery.destinationDisabled', peer: 'gone', isUncertain: false }],
    ] as const)('says what a response means for the delivery and for the destination: %s', async (behaviour, expected) => {
      peer.behave(behaviour);
      const failed = await failure();
      expect(failed).toMatchObject(expected);
      expect(failed.receipt?.summary).toMatch(/\S/);
    });

    test('a peer that is not there is unreachable, and may be back', async () => {
      const destination = peer.destination(longTimeoutMs);
      await peer.stop();
      await expect(deliverer.deliver(delivery, destination, stop.signal)).rejects.toMatchObject({
        outcome: 'retry',
        peer: 'unreachable',
        isUncertain: false,
        receipt: null,
      });
    });

    test('a peer that breaks off without a response may have taken the payload', async () => {
      peer.behave('cut');
      expect(await failure()).toMatchObject({ outcome: 'retry', peer: 'unreachable', isUncertain: true, receipt: null });
      expect(peer.received).toHaveLength(1);
    });

    test('a peer that does not respond is given up at the deadline, and may have taken the payload', async () => {
      peer.behave('hang');
      const startedAtMs = performance.now();
      expect(await failure(200)).toMatchObject({
        outcome: 'retry',
        code: 'delivery.timeout',
        peer: 'unreachable',
        isUncertain: true,
        receipt: null,
      });
      expect(performance.now() - startedAtMs).toBeLessThan(longTimeoutMs / 2);
    });

    test('an abort ends the attempt with the reason of the signal', async () => {
      peer.behave('hang');
      const delivered = deliver();
      const reason = new Error('the process stops');
      stop.abort(reason);
      await expect(delivered).rejects.toBe(reason);
      await expect(deliver()).rejects.toBe(reason);
    });

    test('a response without end is cut off', async () => {
      peer.behave('endless');
      const { summary, detail } = await deliver().catch((error: unknown) => (error as DeliveryFailure).receipt!);
      expect(summary.length).toBeLessThanOrEqual(200);
      expect(detail.excerpt?.length ?? 0).toBeLessThanOrEqual(longestExcerpt);
    });

    test.each(['accept', 'refuse', 'fail', 'limit', 'unauthorized', 'gone'] as const)(
      'keeps credentials out of receipts and failures, also if the peer repeats them: %s',
      async (behaviour) => {
        peer.behave(behaviour);
        const result = await deliver().catch((error: unknown) => error);
        expect(peer.received).toHaveLength(1);
        const everything = inspect(result, { depth: Infinity, maxStringLength: Infinity });
        for (const secret of peer.secrets) expect(everything).not.toContain(secret);
      },
    );

    test('does not reach inner addresses unless it may', async () => {
      const guardedHttp = new HttpClient({ allowPrivateAddresses: false });
      const guarded = create(guardedHttp);
      await expect(guarded.deliver(delivery, peer.destination(longTimeoutMs), stop.signal)).rejects.toMatchObject({
        outcome: 'deadLetter',
        code: 'delivery.addressForbidden',
        isUncertain: false,
        peer: 'unknown',
      });
      expect(peer.received).toEqual([]);
      await guardedHttp.close();
    });
  });
}
