import { clearText, signsForAnybody } from '#libs/contracts';
import type { Lane, RequestRate, SignatureScheme, SourceSpec } from '#libs/contracts';
import { EventFieldReader, laneOf } from '#libs/intake';
import { createVerifier, hmacKeyBytes, presetOf } from '#libs/signatures';
import type { Extraction, Preset, Verifier } from '#libs/signatures';
import { SourceRules } from './source-rules.js';

/** A Source document, compiled once per version to serve requests. */
export interface Source {
  readonly tenant: string;
  readonly name: string;
  /** `stripe`, …, `custom` or `api-key`. No other property of a source may be a label of a metric. */
  readonly scheme: SourceSpec['scheme'];
  readonly fields: EventFieldReader;
  readonly laneOf: (type: string) => Lane;
  /** The rate of its requests; undefined: no limit. */
  readonly rateLimit: RequestRate | undefined;
  /** Undefined where the document has none. */
  readonly rules: SourceRules | undefined;
  /** Says which requests are kept as they were received. */
  readonly keepRequests: NonNullable<SourceSpec['keepRequests']>;
  /** Undefined if requests carry an API key. */
  readonly webhook: WebhookSource | undefined;
}

export interface WebhookSource {
  readonly preset: Preset;
  readonly verifier: Verifier;
  /** The texts of the expressions that read its events. */
  readonly expressions: readonly string[];
  /** The active secrets. */
  readonly secrets: readonly string[];
  /** The first of them as a key, for handshakes; undefined if there is none. */
  readonly key: Buffer | undefined;
  /** True if a handshake is answered to anybody with a code that the key makes. */
  readonly signsForAnybody: boolean;
  /** The values that the document gives the provider's parameters. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The texts of parameters and of an address that the document has as secrets. */
  readonly confidential: readonly string[];
}

/** The parts of a source that decide which parts of its requests are secrets. */
export type SecretParts = Pick<WebhookSource, 'preset' | 'expressions' | 'secrets' | 'confidential'>;

/** The fields of a CloudEvent are its attributes. Expressions see them as `ce-…` headers in all three content modes. */
const cloudEventAttributes: Extraction = {
  eventId: ['headers."ce-id"'],
  type: ['headers."ce-type"'],
  customer: ['headers."ce-subject"', 'body.customer'],
  occurredAt: ['headers."ce-time"'],
};

/** @throws SecretInvalid, PublicUrlMissing, ParameterMissing, ExpressionInvalid */
export function resolveSource(tenant: string, name: string, spec: SourceSpec): Source {
  const preset = presetOf(spec);
  const extraction = extractionOf(spec, preset ?? cloudEventAttributes);
  return {
    tenant,
    name,
    scheme: spec.scheme,
    fields: new EventFieldReader(extraction, tenant),
    laneOf: laneOf(spec.lane),
    rateLimit: spec.rateLimit,
    rules: SourceRules.of(spec, tenant),
    keepRequests: spec.keepRequests ?? 'refused',
    webhook: preset === undefined || spec.scheme === 'api-key' ? undefined : webhookOf(preset, spec, extraction),
  };
}

/** The same of a Source document that may not be usable, such as for a secret in the wrong form; undefined if it takes no webhooks. */
export function secretPartsOf(spec: SourceSpec): SecretParts | undefined {
  const preset = presetOf(spec);
  if (preset === undefined || spec.scheme === 'api-key') return undefined;
  return {
    preset,
    expressions: textsOf(extractionOf(spec, preset)),
    secrets: spec.secrets.map(clearText),
    confidential: confidentialOf(spec),
  };
}

function confidentialOf({ publicUrl, parameters = {} }: Exclude<SourceSpec, { scheme: 'api-key' }>): string[] {
  return [publicUrl, ...Object.values(parameters)].flatMap((value) => (typeof value === 'object' ? [clearText(value)] : []));
}

function extractionOf(spec: SourceSpec, defaults: Extraction): Extraction {
  const { typeDetail } = defaults;
  return {
    eventId: spec.eventId === undefined ? defaults.eventId : [spec.eventId],
    type: spec.type === undefined ? defaults.type : [spec.type],
    ...(spec.type === undefined && typeDetail !== undefined ? { typeDetail } : {}),
    customer: spec.customer === undefined ? defaults.customer : [spec.customer],
    occurredAt: defaults.occurredAt,
  };
}

const textsOf = (extraction: Extraction): string[] =>
  Object.values(extraction as unknown as Record<string, string | readonly string[]>).flat();

function webhookOf(preset: Preset, spec: Exclude<SourceSpec, { scheme: 'api-key' }>, extraction: Extraction): WebhookSource {
  const secrets = spec.secrets.map(clearText);
  const publicUrl = spec.publicUrl === undefined ? undefined : clearText(spec.publicUrl);
  const parameters = Object.fromEntries(Object.entries(spec.parameters ?? {}).map(([name, value]) => [name, clearText(value)]));
  return {
    preset,
    expressions: textsOf(extraction),
    secrets,
    key: secrets[0] === undefined ? undefined : keyOf(preset.scheme, secrets[0]),
    signsForAnybody: preset.handshakes.some(signsForAnybody),
    parameters,
    confidential: confidentialOf(spec),
    verifier: createVerifier(preset.scheme, secrets, { aliases: preset.aliases, publicUrl, parameters }),
  };
}

function keyOf(scheme: SignatureScheme, secret: string): Buffer {
  const isHmac = scheme.kind === undefined || scheme.kind === 'hmac';
  return hmacKeyBytes(secret, isHmac ? scheme.key : 'utf8', 'spec.secrets.0');
}
