import type { Json } from '#libs/json';
import type { HandshakeResponse } from './handshake.js';
import type { PlainRequest } from './tampering.js';

/** The two sides of a secret: what the document holds, and what the provider signs with. */
export interface ProofSecret {
  readonly secret: string;
  /** Default: the secret itself, which both sides share. */
  readonly key?: string;
}

/** A message that a provider is about to sign. */
export interface ProofMessage {
  readonly body: string;
  /** An id for a provider that signs one. */
  readonly id: string;
  readonly atMs: number;
  /** A part of {@link PresetProof.secrets}. */
  readonly key: string;
}

/** A request in the form of the provider's documentation, and what has to become of it. */
export interface ProofSample {
  /** Begins the title of its test: `an order that was paid`. */
  readonly title: string;
  /** An object is sent as JSON. */
  readonly body: string | object;
  /** Headers that are not a part of the signature. Default: a content type of JSON. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The fields of each event, in order. An `eventId` of null: the bytes of the event identify it. */
  readonly events?: readonly ProofEvent[];
  /** The response of a handshake, which is no event. */
  readonly handshake?: HandshakeResponse;
  /** The response where the provider reads it. Default: 200 with the ids. */
  readonly answer?: HandshakeResponse;
}

export interface ProofEvent {
  readonly eventId: string | null;
  readonly type: string;
  readonly customer: string | null;
  /** RFC 3339, UTC; null: the time of the receipt. */
  readonly occurredAt: string | null;
  /** The data of the event, where a request is split. */
  readonly body?: Json;
}

/** A GET or HEAD that the provider sends, or a POST that it does not sign. */
export interface ProofHandshake {
  readonly title: string;
  readonly request: Partial<PlainRequest>;
  /** Undefined: the request must be refused. */
  readonly response: HandshakeResponse | undefined;
}

/** A signed request that the provider has published. */
export interface ProofVector {
  readonly title: string;
  readonly request: PlainRequest;
  readonly secret: string;
  /** The time at which it was signed. */
  readonly atMs: number;
  /** The address of the source for this vector. */
  readonly publicUrl?: string;
}

/**
 * The proof of a preset. It stands beside the preset in `<name>.proof.ts`, and the suite of `preset.conformance.ts` tests the preset with it. `sign`
 * shares no code with the verifier: it is written from the provider's documentation.
 */
export interface PresetProof {
  readonly secrets: readonly [ProofSecret, ProofSecret];
  readonly publicUrl?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  /** The request without the headers of a sample: those of the signature, and the body where the signature stands in it. */
  sign(message: ProofMessage): PlainRequest;
  readonly samples: readonly ProofSample[];
  readonly handshakes?: readonly ProofHandshake[];
  readonly vectors?: readonly ProofVector[];
  /** Alterations of a signed request that are accepted, as `acceptedTampering` names them. Only where the scheme does not cover the whole request. */
  mayAlter?(what: string, request: PlainRequest): boolean;
}

/** The body of a sample as it is sent. */
export function bodyText({ body }: ProofSample): string {
  return typeof body === 'string' ? body : JSON.stringify(body);
}

export const jsonHeaders: Readonly<Record<string, string>> = { 'content-type': 'application/json' };
