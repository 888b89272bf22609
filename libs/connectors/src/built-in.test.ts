import { expect, test } from 'vitest';
import { presets, webhookSchemes } from '#libs/contracts';
import { builtInConnectors } from './built-in.js';

const withWebhooks = [...builtInConnectors()].flatMap(([name, { webhooks }]) => (webhooks === undefined ? [] : [{ name, webhooks }]));

test.each(withWebhooks)('webhooks of $name are registered for sources of every preset that is named after it', ({ name, webhooks }) => {
  const named = presets.filter((preset) => preset === name || preset.startsWith(`${name}-`));
  expect(webhookSchemes(webhooks)).toEqual(expect.arrayContaining(named));
  expect(webhooks.scheme).toBe(name);
});
