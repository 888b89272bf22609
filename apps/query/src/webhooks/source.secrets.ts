import type { Principal } from '#libs/auth';
import { clearText } from '#libs/contracts';
import type { ApiWebhooks, Secret, SourceDocument } from '#libs/contracts';
import { DocumentSecrets } from '#libs/persistence';
import { DocumentService } from '../documents/document.service.js';
import type { DocumentRow } from '../documents/document.service.js';
import { InputInvalid } from '../operations/input.errors.js';

export type SourceRow = DocumentRow & { readonly document: SourceDocument };

/** Secrets that a source may have. */
const mostSecrets = 4;

export async function sourceOf(documents: DocumentService, principal: Principal, name: string): Promise<SourceRow | undefined> {
  return (await documents.list(principal, 'Source')).find((row) => row.name === name) as SourceRow | undefined;
}

/**
 * The secrets of a source while its webhook gets a new one. The first one is the one that the partner signs with, as far as is known. A new one stands at
 * the end until the partner has it, so that a registration that fails takes no secret away.
 */
export class SourceSecrets {
  private readonly added: string[] = [];

  constructor(
    private readonly job: { readonly principal: Principal; readonly name: string; readonly spec: ApiWebhooks },
    private readonly documents: DocumentService,
    private readonly secrets: DocumentSecrets,
  ) {}

  /** True: the source has a secret that it did not have before. */
  get hasNew(): boolean {
    return this.added.length > 0;
  }

  /** Adds a secret behind those that the source has, or makes the source with it. @throws InputInvalid if there is no room */
  async add(value: string): Promise<string> {
    await this.change((before) => {
      if (before.length < mostSecrets) return [...before, { value }];
      const message = `has ${mostSecrets} secrets, which are the most, and any of them may be in use: registrations before ended without an answer, or somebody put them there. Apply the Source with those alone that the partner signs with, and register again`;
      throw new InputInvalid([{ path: ['source'], message }], 'webhook.refused');
    });
    this.added.push(value);
    return value;
  }

  /** The partner has the new secrets. They come first, and of the others the one stays that was first: requests under way are signed with it. */
  async settle(): Promise<void> {
    if (!this.hasNew) return;
    const { spec } = this.job;
    const isOnePerWebhook = spec.perEvent && spec.secret.kind === 'returned';
    await this.change((before, isNew) => {
      const [added, others] = [before.filter(isNew), before.filter((each) => !isNew(each))];
      return isOnePerWebhook ? [...added, ...others] : [...added, ...others.slice(0, 1)];
    });
  }

  /** The partner has none of the new secrets. */
  async dropNew(): Promise<void> {
    if (this.hasNew) await this.change((before, isNew) => before.filter((each) => !isNew(each)));
  }

  /** A source that would have no secrets any more stays as it is, because it must have one. */
  private async change(next: (before: Secret[], isNew: (one: Secret) => boolean) => Secret[]): Promise<void> {
    const { principal, name, spec: webhooks } = this.job;
    const source = await sourceOf(this.documents, principal, name);
    const spec = source?.document.spec;
    const before = spec !== undefined && 'secrets' in spec ? spec.secrets : [];
    const opened = source === undefined ? undefined : this.secrets.opened(source.document).spec;
    const texts = opened !== undefined && 'secrets' in opened ? opened.secrets.map(clearText) : [];
    const after = next(before, (one) => this.added.includes(texts[before.indexOf(one)]!));
    if (after.length === 0 || (after.length === before.length && after.every((each, at) => each === before[at]))) return;
    const metadata = { tenant: principal.tenant, name };
    const document = {
      apiVersion: 'millrace/v1' as const,
      kind: 'Source' as const,
      metadata,
      spec: { ...(spec ?? { scheme: webhooks.scheme }), secrets: after },
    };
    const expectedVersions = [{ kind: 'Source' as const, name, version: source?.version ?? 0 }];
    await this.documents.apply(principal, { documents: [document], expectedVersions, dryRun: false }, () => false);
  }
}
