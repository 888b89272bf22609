import { signatureScheme, sourceHandshake } from '#libs/contracts';
import type { SignatureScheme, SignatureSchemeInput, SourceHandshake, SourceHandshakeInput } from '#libs/contracts';
import type { Json } from '#libs/json';
import type { HandshakeResponse, UnsignedPost, UnsignedResponse } from './handshake.js';
import type { HeaderAliases } from './request.js';

/**
 * JSONata expressions over `{ body, headers }` that read the fields of an event; header names are in lower case. Of several expressions for a
 * field, the first that yields a value counts. Plain paths are the fastest.
 */
export interface Extraction {
  /** The provider's own id of the event, the same on every repeat. */
  readonly eventId: readonly string[];
  readonly type: readonly string[];
  /** Appended to the type after a dot, if it yields a value: GitHub's `action`. */
  readonly typeDetail?: string;
  readonly customer: readonly string[];
  /** The time of the event: RFC 3339, or a number of seconds or milliseconds since 1970. */
  readonly occurredAt: readonly string[];
}

/** The places where a request can hold several events. Each of them becomes an event of its own, and all are on the log before the response. */
export interface Split {
  /** Paths of arrays, from the body on, with dots between the names: `entry.changes`. The empty path is a body that is an array. */
  readonly arrays: readonly string[];
  /**
   * An event is the element; or, where what stands around it matters, the request with an array of this element alone, or with the element in place of
   * the array (`unwrapped`).
   */
  readonly keeps: 'element' | 'request' | 'unwrapped';
  /** Names around the elements that are left out of events, such as that of a session of the provider's API. */
  readonly omits?: readonly string[];
}

/** The section of a preset in `docs/providers.md`. */
export interface PresetGuide {
  /** The provider's name, as its heading. */
  readonly title: string;
  /** The provider's page on verifying its webhooks. */
  readonly url: string;
  /** Name of the example source; default: the preset's. */
  readonly source?: string;
  /** A secret of the right form, for the example. */
  readonly secret: string;
  /** Further fields of the example's spec. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** Added to the description of the signature, such as how the secret becomes the key. */
  readonly signatureNote?: string;
  /** Markdown after the example. */
  readonly notes: string;
}

/** A provider: how it signs, and where its requests have the fields of an event. */
export interface Preset extends Extraction {
  readonly scheme: SignatureScheme;
  /** Second spellings of header names. Both may be sent only with the same value. */
  readonly aliases: HeaderAliases;
  /** The content types it sends; `any` for a custom scheme. */
  readonly sends: readonly ('json' | 'form' | 'xml')[] | 'any';
  /** Default: a request is one event. */
  readonly split?: Split;
  /** The value of the body that must be the parameter of the source: whose requests these are, for a provider that signs nothing. */
  readonly owner?: { readonly path: string; readonly parameter: string };
  /** The field of a form that carries the event as JSON. */
  readonly jsonField?: string;
  /** The provider's checks that somebody listens at the address of a source. They are answered, and are no events. */
  readonly handshakes: readonly SourceHandshake[];
  /**
   * Answers a POST that the provider sends without a signature, and that is no event. It is called for requests of anybody, so its answer must be worth
   * nothing to them. Undefined: the request is refused.
   */
  readonly unsignedPost?: (request: UnsignedPost) => UnsignedResponse | undefined;
  /** The response once all events of the body are on the log, for a provider that reads it. Default: 200 with their ids. */
  readonly answer?: (body: Json) => HandshakeResponse;
}

/** A preset with its documentation. */
export interface ProviderPreset extends Preset {
  /**
   * For how many hours the provider sends a request again that was not acknowledged; 0: it does not, undefined: it does not say. Ids are remembered
   * longer than that.
   */
  readonly retryHours: number | undefined;
  /** The names of the `parameters` that a document must have, each with its description. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly guide: PresetGuide;
}

type PresetInput = Omit<ProviderPreset, 'scheme' | 'aliases' | 'handshakes'> & {
  scheme: SignatureSchemeInput;
  aliases?: HeaderAliases;
  handshakes?: readonly SourceHandshakeInput[];
};

/** Checks the scheme and the handshakes of a preset as those of a document are checked. */
export function definePreset(preset: PresetInput): ProviderPreset {
  return Object.freeze({
    ...preset,
    aliases: preset.aliases ?? {},
    scheme: signatureScheme.parse(preset.scheme),
    handshakes: (preset.handshakes ?? []).map((one) => sourceHandshake.parse(one)),
  });
}

/** A custom scheme with the defaults for an unknown provider: the signed id is the event's, and `body.type` its type. */
export function customPreset(scheme: SignatureScheme, handshakes: readonly SourceHandshake[]): Preset {
  const idHeader = 'idHeader' in scheme ? scheme.idHeader : undefined;
  return {
    scheme,
    handshakes,
    aliases: {},
    sends: 'any',
    eventId: idHeader === undefined ? [] : [`headers.${JSON.stringify(idHeader.toLowerCase())}`],
    type: ['body.type'],
    customer: [],
    occurredAt: [],
  };
}
