import { customScheme } from '#libs/contracts';
import type { CustomScheme } from '#libs/contracts';
import type { HeaderAliases } from './scheme.js';

/**
 * Where an event's facts stand, as JSONata over `{ body, headers }` with lower-case header names. Of several expressions the first one that
 * yields something counts; none at all: the fact is not known. Prefer plain paths, they cost almost nothing.
 */
export interface Extraction {
  /** The provider's own id, the same on every repeat of the same event. */
  readonly eventId: readonly string[];
  readonly type: readonly string[];
  /** Appended to the type after a dot, where it yields something: GitHub's `action`. */
  readonly typeDetail?: string;
  readonly customer: readonly string[];
  /** When it happened: RFC 3339, or a number of seconds or milliseconds since 1970. */
  readonly occurredAt: readonly string[];
}

/** A request that asks whether we listen, instead of telling of an event: answered, and not recorded. */
export interface Handshake {
  /** It is one where this expression yields this text. */
  readonly when: string;
  readonly is: string;
  /** What is sent back, as text. */
  readonly reply: string;
}

/** How one provider signs and where it puts things: data, read by the one engine that reads `custom` schemes too. */
export interface Preset extends Extraction {
  readonly scheme: CustomScheme;
  /** Second spellings of signed headers; both may be sent only with the same value. */
  readonly aliases: HeaderAliases;
  /** The content types it sends. `any`: only for a custom scheme. */
  readonly sends: readonly ('json' | 'form')[] | 'any';
  /** The field of a form that carries the event as JSON. */
  readonly jsonField?: string;
  readonly handshake?: Handshake;
}

/** A preset's scheme is held to the same rules as a custom one in a document. */
export function definePreset(preset: Omit<Preset, 'scheme' | 'aliases'> & { scheme: object; aliases?: HeaderAliases }): Preset {
  return Object.freeze({ ...preset, aliases: preset.aliases ?? {}, scheme: customScheme.parse(preset.scheme) });
}

/** A custom scheme, with the few things that can be known of an unknown provider. */
export function customPreset(scheme: CustomScheme): Preset {
  return {
    scheme,
    aliases: {},
    sends: 'any',
    eventId: scheme.idHeader === undefined ? [] : [`headers.${JSON.stringify(scheme.idHeader.toLowerCase())}`],
    type: ['body.type'],
    customer: [],
    occurredAt: [],
  };
}
