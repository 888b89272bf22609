import { stringify } from 'yaml';
import { describeScheme, providers } from '#libs/signatures';
import type { ProviderPreset } from '#libs/signatures';

/** The table of presets in `docs/providers.md`. */
export function providersTable(): string {
  const rows = Object.entries<ProviderPreset>(providers).map(([name, preset]) => `| ${[`\`${name}\``, ...cells(preset)].join(' | ')} |`);
  return [
    '| preset | signature | tolerance | sent again for | handshake | events of a request | event id | type | customer | happened at |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function cells(preset: ProviderPreset): string[] {
  const { scheme, aliases, guide, eventId, type, typeDetail, customer, occurredAt, retryHours, split } = preset;
  const isTimed =
    'toleranceSeconds' in scheme &&
    (scheme.timestampField !== undefined || ('template' in scheme && scheme.template.includes('{timestamp}')));
  const code = (texts: readonly string[]): string => texts.map((text) => `\`${text}\``).join(', ');
  const others = Object.values(aliases);
  const signature = [
    describeScheme(scheme) + (others.length === 0 ? '' : ` (also ${code(others)})`),
    ...(guide.signatureNote === undefined ? [] : [guide.signatureNote]),
  ];
  return [
    signature.join('; '),
    isTimed ? `${scheme.toleranceSeconds} s` : 'not timed',
    windowOf(retryHours),
    handshakeOf(preset),
    split === undefined ? 'one' : `each of ${code(split.arrays.map((path) => (path === '' ? 'body' : `body.${path}`)))}`,
    code(eventId) || 'hash of the body',
    code(type) + (typeDetail === undefined ? '' : `, then \`.\` and \`${typeDetail}\``),
    code(customer) || '–',
    code(occurredAt) || 'when received',
  ];
}

function handshakeOf({ handshakes, unsignedPost }: ProviderPreset): string {
  const methods = [...handshakes.map(({ method }) => method), ...(unsignedPost === undefined ? [] : ['unsigned POST'])];
  return methods.length === 0 ? '–' : methods.join(', ');
}

function windowOf(hours: number | undefined): string {
  if (hours === undefined) return 'not said';
  if (hours === 0) return 'never';
  if (hours < 1) return `${Math.round(hours * 60)} min`;
  return hours >= 48 ? `${hours / 24} days` : `${hours} h`;
}

/** A section for each preset: its page, a document that can be applied, and what is particular about it. */
export function providerSections(): string {
  return Object.entries<ProviderPreset>(providers)
    .map(([name, preset]) => section(name, preset))
    .join('\n\n');
}

function section(name: string, { guide }: ProviderPreset): string {
  const example = {
    apiVersion: 'millrace/v1',
    kind: 'Source',
    metadata: { tenant: 'acme', name: guide.source ?? name },
    spec: { scheme: name, secrets: [{ value: guide.secret }], ...guide.spec },
  };
  const yaml = stringify(example, { lineWidth: 0 }).trimEnd();
  return [`### ${guide.title}`, '', '```yaml', yaml, '```', '', guide.notes, '', `The provider’s page: <${guide.url}>`].join('\n');
}

/** The page with the text between the markers `<!-- name:begin … -->` and `<!-- name:end -->` replaced. */
export function withGenerated(page: string, name: string, text: string): string {
  const between = new RegExp(`(<!-- ${name}:begin [^>]*-->\n)[^]*?(\n<!-- ${name}:end -->)`);
  if (!between.test(page)) throw new Error(`The page has no markers ${name}:begin and ${name}:end`);
  return page.replace(between, (_, begin: string, end: string) => `${begin}${text}${end}`);
}
