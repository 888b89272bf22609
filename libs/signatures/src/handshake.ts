import type { IncomingHttpHeaders } from 'node:http';
import type { Json } from '#libs/json';

/** The parts of a request that a handshake can use. */
export interface HandshakeRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The parsed body of a POST, which was verified before; null for GET and HEAD. */
  readonly body: Json;
  /** The active secrets of the source. */
  readonly secrets: readonly string[];
  /** The `parameters` of the source. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** A POST without a signature. */
export interface UnsignedPost {
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
  readonly secrets: readonly string[];
}

export interface HandshakeResponse {
  readonly status: number;
  /** An object is sent as JSON, text as it is. A response with status 204 has no body. */
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The response to a {@link UnsignedPost}. */
export interface UnsignedResponse extends HandshakeResponse {
  /** A sentence for the log, where the provider sends what the operator has to enter at its side. */
  readonly forOperator?: string;
}

/** A provider's check that somebody listens at the address of a source. It is answered, and is not an event. */
export interface Handshake {
  /** A POST handshake is verified like an event first. GET and HEAD carry no signature: `respond` checks what they carry. */
  readonly methods: readonly ('GET' | 'HEAD' | 'POST')[];
  /**
   * Undefined if the request is not a handshake: a POST is then an event, and a GET or HEAD is refused.
   * @throws HandshakeMalformed
   */
  respond(request: HandshakeRequest): HandshakeResponse | undefined;
}
