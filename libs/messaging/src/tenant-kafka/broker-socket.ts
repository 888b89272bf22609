import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

/** The certificates of a session that is encrypted, each in PEM. */
export interface BrokerTls {
  /** The authorities that the certificate of a broker must come from. Default: those of Node. */
  readonly ca?: string;
  /** The certificate of this side, with its key. */
  readonly cert?: string;
  readonly key?: string;
}

export interface BrokerSocketOptions {
  readonly host: string;
  /** Undefined: not encrypted. */
  readonly tls: BrokerTls | undefined;
  /** The longest response that is read, in bytes. */
  readonly longestResponse: number;
  /** Called before a produce request is handed to the network. */
  readonly onProduce: () => void;
  /** Called when requests can be sent. */
  readonly onConnect: () => void;
}

const sizeBytes = 4;
/** Size and API key: https://kafka.apache.org/protocol.html#protocol_messages */
const produceKey = 0;
/** A response has its correlation id at least. */
const shortestResponse = 4;

/**
 * A connection to a broker that is not trusted. It hands over whole responses only, of a length that is allowed: kafkajs would loop for ever on a
 * negative length, and would gather any number of bytes.
 */
export class BrokerSocket extends Duplex {
  private stream: Socket | undefined;
  private gathered: Buffer[] = [];
  private gatheredBytes = 0;
  private isEnded = false;

  /** @param raw a socket that connects, or has connected */
  constructor(
    private readonly raw: Socket,
    private readonly options: BrokerSocketOptions,
  ) {
    super({ allowHalfOpen: false });
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.ended());
    if (raw.connecting) raw.once('connect', () => this.connected());
    else queueMicrotask(() => this.connected());
  }

  /** kafkajs lets a process end while a connection closes. */
  unref(): this {
    this.raw.unref();
    return this;
  }

  override _read(): void {
    this.stream?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error | null) => void): void {
    if (this.stream === undefined) return written(new Error('The broker is not connected'));
    if (chunk.length > sizeBytes + 2 && chunk.readInt16BE(sizeBytes) === produceKey) this.options.onProduce();
    this.stream.write(chunk, written);
  }

  override _final(ended: () => void): void {
    this.stream?.end();
    ended();
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.stream?.destroy();
    this.raw.destroy();
    destroyed(error);
  }

  private connected(): void {
    if (this.destroyed) return;
    const { tls, host } = this.options;
    if (tls === undefined) return this.opened(this.raw);
    const encrypted = connectTls({
      socket: this.raw,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      minVersion: 'TLSv1.2',
      ...tls,
    });
    encrypted.on('error', (error) => this.destroy(error));
    encrypted.once('secureConnect', () => this.opened(encrypted));
  }

  private opened(stream: Socket): void {
    this.stream = stream;
    stream.setKeepAlive(true, 60_000);
    stream.on('data', (chunk: Buffer) => this.received(chunk));
    stream.on('end', () => this.ended());
    this.options.onConnect();
  }

  private received(chunk: Buffer): void {
    this.gathered.push(chunk);
    this.gatheredBytes += chunk.length;
    while (this.gatheredBytes >= sizeBytes) {
      if (this.gathered[0]!.length < sizeBytes) this.gathered = [Buffer.concat(this.gathered)];
      const size = this.gathered[0]!.readInt32BE(0);
      if (size < shortestResponse || size > this.options.longestResponse) {
        this.destroy(new Error(`The broker sent a response of ${size} bytes`));
        return;
      }
      if (this.gatheredBytes < sizeBytes + size) return;
      const all = this.gathered.length === 1 ? this.gathered[0]! : Buffer.concat(this.gathered);
      const left = all.subarray(sizeBytes + size);
      this.gathered = left.length === 0 ? [] : [left];
      this.gatheredBytes = left.length;
      if (!this.push(all.subarray(0, sizeBytes + size))) this.stream?.pause();
    }
  }

  /** kafkajs hears of an end, and not of a socket that is only closed. */
  private ended(): void {
    if (this.isEnded || this.destroyed) return;
    this.isEnded = true;
    if (this.stream === undefined) this.destroy(new Error('The broker closed the connection'));
    else this.push(null);
  }
}
