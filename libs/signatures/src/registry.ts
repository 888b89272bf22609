import type { SourceSpec } from '#libs/contracts';
import { customPreset } from './preset.js';
import type { Preset } from './preset.js';
import { providers } from './providers.generated.js';

/** The preset of a source; undefined if its requests carry an API key instead of a signature. */
export function presetOf(spec: SourceSpec): Preset | undefined {
  if (spec.scheme === 'api-key') return undefined;
  return spec.scheme === 'custom' ? customPreset(spec.custom, spec.handshakes ?? []) : providers[spec.scheme];
}
