import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FlowTemplate } from './template.js';

/** The values that stand for `${systems}`, `${token}` and `${mailPort}` in documents, and the tenant of the documents. */
export interface TemplateValues {
  readonly tenant: string;
  /** Undefined: the places stay as they are, for a person to fill in. */
  readonly systems: { readonly url: string; readonly token: string; readonly mailPort: number } | undefined;
}

/** The files of a template, by their path in it, with the values filled in. */
export function filesOf({ folder }: FlowTemplate, values: TemplateValues): ReadonlyMap<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(?:ya?ml|json)$/.test(path));
  return new Map(paths.toSorted().map((path) => [path, filledIn(readFileSync(join(folder, path), 'utf8'), values)]));
}

function filledIn(text: string, { tenant, systems }: TemplateValues): string {
  const ofTenant = text.replaceAll('tenant: acme,', `tenant: ${tenant},`);
  if (systems === undefined) return ofTenant;
  const { url, token, mailPort } = systems;
  return ofTenant.replaceAll('${systems}', url).replaceAll('${token}', token).replaceAll('${mailPort}', String(mailPort));
}
