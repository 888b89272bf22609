import type { Json } from '#libs/json';

/** The settings of a connection, with the defaults that the schema of its connector names. */
export function withDefaults(
  schema: Readonly<Record<string, unknown>>,
  settings: { readonly [name: string]: Json },
): { readonly [name: string]: Json } {
  const properties = (schema['properties'] ?? {}) as Record<string, { default?: Json } | boolean>;
  const defaults = Object.entries(properties).flatMap(([name, property]) =>
    typeof property === 'object' && property.default !== undefined ? [[name, property.default] as const] : [],
  );
  return { ...Object.fromEntries(defaults), ...settings };
}
