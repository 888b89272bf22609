import { Injectable } from '@nestjs/common';
import { parseSourceAddress, sourceAddress, typeMatcher } from '#libs/contracts';
import type { Lane, Secret, SourceDocument, SourceSpec } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { presetOf, resolveScheme } from '#libs/signatures';
import type { Extraction, Preset, ResolvedScheme } from '#libs/signatures';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { logger } from '#libs/tracing';
import { FactReader } from './facts.js';
import { SourceUnusable } from './source.errors.js';

/** A Source document, made ready to serve requests: nothing of it is parsed again until the next version. */
export interface Source {
  readonly tenant: string;
  readonly name: string;
  /** `stripe`, …, `custom` or `api-key`: the only thing of a source that may be a metric's label. */
  readonly scheme: SourceSpec['scheme'];
  readonly facts: FactReader;
  readonly laneOf: (type: string) => Lane;
  /** Undefined where requests carry an API key. */
  readonly webhook:
    | { readonly signature: ResolvedScheme; readonly preset: Preset; readonly handshake: CompiledHandshake | undefined }
    | undefined;
}

export interface CompiledHandshake {
  readonly when: Expression;
  readonly is: string;
  readonly reply: Expression;
}

interface Entry {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly source: Source | SourceUnusable;
}

/** CloudEvents bring their facts as attributes, which the expressions of a source see as `ce-…` headers in all three content modes. */
const cloudEventAttributes: Extraction = {
  eventId: ['headers."ce-id"'],
  type: ['headers."ce-type"'],
  customer: ['headers."ce-subject"', 'body.customer'],
  occurredAt: ['headers."ce-time"'],
};

const log = logger('sources');

/** The sources as the configuration in memory has them, each resolved once per version. */
@Injectable()
export class SourceCatalog {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly configuration: Configuration) {}

  /** @throws ConfigurationUnavailable, SourceUnusable */
  at(address: string): Source | undefined {
    const known = this.entries.get(address) ?? addressed(address);
    return known === null ? undefined : this.find(known.tenant, known.name);
  }

  /** @throws ConfigurationUnavailable, SourceUnusable */
  find(tenant: string, name: string): Source | undefined {
    const address = sourceAddress(tenant, name);
    const stored = this.configuration.source(tenant, name);
    if (stored === undefined) {
      this.entries.delete(address);
      return undefined;
    }
    const known = this.entries.get(address);
    const isCurrent = known !== undefined && known.version === stored.version;
    const source = isCurrent ? known.source : resolveOnce(stored);
    if (!isCurrent) this.entries.set(address, { tenant, name, version: stored.version, source });
    if (source instanceof SourceUnusable) throw source;
    return source;
  }
}

function addressed(address: string): { tenant: string; name: string } | null {
  const parsed = parseSourceAddress(address);
  return parsed === null ? null : { tenant: parsed.tenant, name: parsed.source };
}

/** A document that cannot be resolved is reported once, here, and not by every request it spoils. */
function resolveOnce(stored: Stored<SourceDocument>): Source | SourceUnusable {
  try {
    return resolveSource(stored.tenant, stored.name, stored.document.spec);
  } catch (error) {
    const address = sourceAddress(stored.tenant, stored.name);
    log.error({ err: error, source: address, version: stored.version }, 'a source cannot be used as its document stands');
    return new SourceUnusable(address, error);
  }
}

/** @throws SecretInvalid, ExpressionInvalid */
export function resolveSource(tenant: string, name: string, spec: SourceSpec): Source {
  const preset = presetOf(spec);
  const defaults = preset ?? cloudEventAttributes;
  const { typeDetail } = defaults;
  return {
    tenant,
    name,
    scheme: spec.scheme,
    facts: new FactReader({
      eventId: spec.eventId === undefined ? defaults.eventId : [spec.eventId],
      type: spec.type === undefined ? defaults.type : [spec.type],
      ...(spec.type === undefined && typeDetail !== undefined ? { typeDetail } : {}),
      customer: spec.customer === undefined ? defaults.customer : [spec.customer],
      occurredAt: defaults.occurredAt,
    }),
    laneOf: laneOf(spec.lane),
    webhook:
      preset === undefined || spec.scheme === 'api-key'
        ? undefined
        : {
            preset,
            signature: resolveScheme(preset.scheme, spec.secrets.map(opened), preset.aliases),
            handshake: preset.handshake && {
              when: compileExpression(preset.handshake.when),
              is: preset.handshake.is,
              reply: compileExpression(preset.handshake.reply),
            },
          },
  };
}

function opened(secret: Secret): string {
  if (!('value' in secret)) throw new Error('A secret of the source was not opened');
  return secret.value;
}

function laneOf(spec: SourceSpec['lane']): (type: string) => Lane {
  const rules = spec.rules.map(({ types, lane }) => ({ fits: typeMatcher(types), lane }));
  return (type) => rules.find(({ fits }) => fits(type))?.lane ?? spec.default;
}
