import { HostAddressForbidden } from '#libs/http';
import type { HttpClient } from '#libs/http';
import { TenantKafka, TenantKafkaFailure } from '#libs/messaging';
import type { TenantKafkaOptions } from '#libs/messaging';
import { Redaction } from '#libs/redaction';
import type { DriverUse } from '../driver.js';
import { OperationFailure } from '../operation.errors.js';
import { SessionLost } from '../sessions.js';
import { failureOf } from './kafka.failure.js';
import type { KafkaContext } from './kafka.failure.js';
import type { recordOf } from './kafka.record.js';

type KafkaRecord = ReturnType<typeof recordOf>;
type Place = Awaited<ReturnType<TenantKafka['produce']>>;

/** A host that a cluster may name. What is longer, or holds other characters, is none. */
const hostName = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^[0-9A-Fa-f:.]{2,45}$/;

/** One session with a cluster, which appends one record after the other. */
export class KafkaSession {
  private constructor(
    private readonly kafka: TenantKafka,
    private readonly context: KafkaContext,
  ) {}

  /** Connects and logs in. @throws OperationFailure, the signal's reason */
  static async open(use: DriverUse, http: HttpClient): Promise<KafkaSession> {
    const { settings, login, signal } = use;
    const brokers = settings['brokers'] as readonly string[];
    const context = { cluster: brokers[0]!, redaction: new Redaction(login.secrets) };
    const options = {
      brokers,
      clientId: settings['clientId'] as string,
      login: loginOf(use),
      tls: tlsOf(use),
      dial: dialWith(http),
      isFinal: (error: Error) => error instanceof HostAddressForbidden,
    };
    try {
      return new KafkaSession(await TenantKafka.connect(options, { signal }), context);
    } catch (error) {
      signal.throwIfAborted();
      throw failureOf(error, context);
    }
  }

  get isUsable(): boolean {
    return this.kafka.isUsable;
  }

  /** @throws OperationFailure, InputRefused; SessionLost if the brokers ended the session before the record; the signal's reason only if it was not sent */
  async produce(
    record: KafkaRecord,
    { endsAtMs, signal, requireClaim }: Pick<DriverUse, 'endsAtMs' | 'signal' | 'requireClaim'>,
  ): Promise<Place> {
    const { throttledMs } = this.kafka;
    if (performance.now() + throttledMs > endsAtMs) {
      const message = `The Kafka at ${this.context.cluster} asked for a pause of ${Math.ceil(throttledMs)} ms, because a quota is used up`;
      throw new OperationFailure('operation.limited', message, { peer: 'limited', retryAfterMs: Math.ceil(throttledMs) });
    }
    try {
      return await this.kafka.produce(record, { endsAtMs, signal, requireClaim });
    } catch (error) {
      const isUncertain = error instanceof TenantKafkaFailure && error.isUncertain;
      if (!isUncertain) signal.throwIfAborted();
      const failure = failureOf(error, this.context);
      throw failure.peer === 'unreachable' && !isUncertain ? new SessionLost(failure) : failure;
    }
  }

  /** Reads the metadata of topics, and connects to every broker. @throws OperationFailure, SessionLost, the signal's reason */
  async look(topics: readonly string[], signal: AbortSignal): Promise<void> {
    try {
      await this.kafka.look(topics, { signal });
    } catch (error) {
      signal.throwIfAborted();
      const failure = failureOf(error, this.context);
      throw failure.peer === 'unreachable' ? new SessionLost(failure) : failure;
    }
  }

  close(): void {
    this.kafka.close();
  }
}

function loginOf({ settings, login: { username, password } }: DriverUse): TenantKafkaOptions['login'] {
  if (username === undefined || password === undefined) return undefined;
  return { mechanism: settings['sasl'] as NonNullable<TenantKafkaOptions['login']>['mechanism'], username, password };
}

function tlsOf({ settings, login }: DriverUse): TenantKafkaOptions['tls'] {
  if (settings['tls'] === 'none') return undefined;
  const ca = (settings['ca'] ?? login.tls?.ca) as string | undefined;
  const { cert, key } = login.tls ?? {};
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert, key: key! }) };
}

/** Addresses are checked whoever names them: the document, or a broker. */
function dialWith(http: HttpClient): TenantKafkaOptions['dial'] {
  return (host, port) => {
    if (!hostName.test(host)) throw new Error('A broker advertises an address that is none');
    const written = host.includes(':') ? `[${host}]` : host.toLowerCase();
    return http.connect(new URL(`kafka://${written}:${port}`));
  };
}
