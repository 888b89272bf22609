import { clearText } from '#libs/contracts';
import type { Lane, RequestRate, SourceSpec } from '#libs/contracts';
import { EventFieldReader, laneOf } from '#libs/intake';
import { createVerifier, presetOf } from '#libs/signatures';
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
  /** The active secrets, for handshakes. */
  readonly secrets: readonly string[];
  /** The values that the document gives the provider's parameters. */
  readonly parameters: Readonly<Record<string, string>>;
}

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
  const defaults = preset ?? cloudEventAttributes;
  const { typeDetail } = defaults;
  const extraction: Extraction = {
    eventId: spec.eventId === undefined ? defaults.eventId : [spec.eventId],
    type: spec.type === undefined ? defaults.type : [spec.type],
    ...(spec.type === undefined && typeDetail !== undefined ? { typeDetail } : {}),
    customer: spec.customer === undefined ? defaults.customer : [spec.customer],
    occurredAt: defaults.occurredAt,
  };
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

function webhookOf(preset: Preset, spec: Exclude<SourceSpec, { scheme: 'api-key' }>, extraction: Extraction): WebhookSource {
  const secrets = spec.secrets.map(clearText);
  const publicUrl = spec.publicUrl === undefined ? undefined : clearText(spec.publicUrl);
  const parameters = Object.fromEntries(Object.entries(spec.parameters ?? {}).map(([name, value]) => [name, clearText(value)]));
  return {
    preset,
    expressions: Object.values(extraction as unknown as Record<string, string | readonly string[]>).flat(),
    secrets,
    parameters,
    verifier: createVerifier(preset.scheme, secrets, { aliases: preset.aliases, publicUrl, parameters }),
  };
}
