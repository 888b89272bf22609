import type { SourceSpec, presets } from '#libs/contracts';
import { customPreset } from './preset.js';
import type { Preset } from './preset.js';
import { github } from './providers/github/github.js';
import { shopify } from './providers/shopify/shopify.js';
import { slack } from './providers/slack/slack.js';
import { standardWebhooks } from './providers/standard-webhooks/standard-webhooks.js';
import { stripe } from './providers/stripe/stripe.js';

/** A name in `presets` of contracts without its provider here, or the other way round, does not compile. */
export const providers: Readonly<Record<(typeof presets)[number], Preset>> = {
  stripe,
  github,
  shopify,
  slack,
  'standard-webhooks': standardWebhooks,
};

/** How requests to a source are read; undefined where they carry an API key instead of a signature. */
export function presetOf(spec: SourceSpec): Preset | undefined {
  if (spec.scheme === 'api-key') return undefined;
  return spec.scheme === 'custom' ? customPreset(spec.custom) : providers[spec.scheme];
}
