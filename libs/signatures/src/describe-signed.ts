import type { SignatureSchemeOf } from '#libs/contracts';

type SignedScheme = SignatureSchemeOf<'hmac' | 'asymmetric' | 'certificate'>;

/** Describes a scheme with a signature for `docs/providers.md`, such as "`x-sig`: `sha256=…`, HMAC-SHA256 of `{body}`, hex". */
export function describeSigned(scheme: SignedScheme, algorithm: string): string {
  const { header, list, prefix, template, encoding, timestampHeader, idHeader } = scheme;
  const entries = list && [
    ...(list.timestamp === undefined ? [] : [`${list.timestamp}${list.keyValue}…`]),
    `${list.signature}${list.keyValue}…`,
  ];
  const form = entries === undefined ? (prefix === '' ? '' : ` \`${prefix}…\`,`) : ` \`${entries.join(list!.separator)}\`,`;
  const others = [idHeader, timestampHeader].filter((name) => name !== undefined).map((name) => `\`${name}\``);
  return `\`${header}\`:${form} ${algorithm} of \`${template}\`, ${encoding}${others.length === 0 ? '' : `, with ${others.join(' and ')}`}`;
}
