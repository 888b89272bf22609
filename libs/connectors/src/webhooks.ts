import type { ApiWebhooks } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import { Redaction } from '#libs/redaction';
import type { OpenConnection } from './connector.js';
import type { Connectors } from './connectors.js';
import { OperationFailure } from './operation.errors.js';

const secretPrefix = 'whsec_';

/** The webhook that is wanted at a system. */
export interface WantedWebhook {
  readonly url: string;
  /** The place at the system, in the form that the connector asks for, such as a repository. */
  readonly target: Json;
  readonly events: readonly string[];
  /** The only event, where each has a webhook of its own. */
  readonly event?: string | undefined;
  /** A new secret, where it is given to the system. */
  readonly secret?: string | undefined;
}

/** A webhook that a system has. */
export interface FoundWebhook {
  readonly id: Json;
  readonly url: string;
  readonly events: readonly string[];
  /** False if it is switched off at the system. */
  readonly isActive: boolean;
}

export interface MadeWebhook {
  readonly id: Json;
  /** The secret, where the system makes it. */
  readonly secret: string | undefined;
}

interface Uses {
  readonly connection: OpenConnection;
  readonly connectors: Connectors;
  /** Names what is asked for: each registration has another one. */
  readonly effectKey: string;
  readonly signal: AbortSignal;
}

/** The webhooks at one system, by the operations that its connector names for them. */
export class PartnerWebhooks {
  private readonly list: Readonly<Record<'input' | 'id' | 'url' | 'events', Expression>>;
  private readonly active: Expression | undefined;
  private readonly create: Readonly<Record<'input' | 'id', Expression>>;
  private readonly updateInput: Expression | undefined;
  private readonly deleteInput: Expression;
  private readonly secret: Expression | undefined;
  /** Secrets that were given to the system or made by it. No message may have them. */
  private readonly secrets = new Set<string>();
  private calls = 0;

  constructor(
    private readonly spec: ApiWebhooks,
    private readonly uses: Uses,
  ) {
    const compiled = (text: string): Expression => compileExpression(text, { owner: uses.connection.tenant });
    const { list, create, update, delete: remove, secret } = spec;
    this.list = { input: compiled(list.input ?? '{}'), id: compiled(list.id), url: compiled(list.url), events: compiled(list.events) };
    this.active = list.active === undefined ? undefined : compiled(list.active);
    this.create = { input: compiled(create.input), id: compiled(create.id) };
    this.updateInput = update === undefined ? undefined : compiled(update.input);
    this.deleteInput = compiled(remove.input);
    this.secret = secret.kind === 'returned' ? compiled(secret.value) : undefined;
  }

  /** True if a webhook can be changed: its events and its secret, and one that is switched off can be switched on. */
  get canUpdate(): boolean {
    return this.updateInput !== undefined;
  }

  /** All that the system has, also those of others. @throws OperationFailure also where the answer holds no list; as `Connectors.run` does; ExpressionFailed */
  async found({ url, target }: Pick<WantedWebhook, 'url' | 'target'>): Promise<FoundWebhook[]> {
    const { operation } = this.spec.list;
    const items = await this.run(operation, this.list.input, { url, target });
    if (!Array.isArray(items)) {
      const message = `The operation ${operation} reads webhooks, and its answer holds no list: only with one is it known which webhooks exist`;
      throw new OperationFailure('operation.outputInvalid', message, { peer: 'up' });
    }
    const found: FoundWebhook[] = [];
    for (const item of items) {
      const [id, address, events, active] = [
        await this.list.id.evaluate({ item }),
        await this.list.url.evaluate({ item }),
        await this.list.events.evaluate({ item }),
        await this.active?.evaluate({ item }),
      ];
      if (id === undefined || typeof address !== 'string') continue; // one that calls no address, such as a queue
      found.push({ id, url: address, events: textsIn(events), isActive: active !== false });
    }
    return found;
  }

  /** @throws as {@link found} */
  async make(wanted: WantedWebhook): Promise<MadeWebhook> {
    const output = await this.run(this.spec.create.operation, this.create.input, wanted);
    const secret = await this.secretOf(output);
    if (secret !== undefined) this.secrets.add(secret);
    const id = await this.create.id.evaluate({ output });
    return { id: id ?? null, secret };
  }

  /** @throws as {@link found} */
  async change(id: Json, wanted: WantedWebhook): Promise<void> {
    await this.run(this.spec.update!.operation, this.updateInput!, { ...wanted, id });
  }

  /** @throws as {@link found} */
  async remove(id: Json, { url, target }: Pick<WantedWebhook, 'url' | 'target'>): Promise<void> {
    await this.run(this.spec.delete.operation, this.deleteInput, { url, target, id });
  }

  /** A message without the secrets of the webhooks. */
  redacted(message: string): string {
    return new Redaction([...this.secrets]).apply(message);
  }

  private async run(operation: string, input: Expression, scope: Partial<WantedWebhook> & { readonly id?: Json }): Promise<Json> {
    const { connectors, connection, effectKey, signal } = this.uses;
    if (scope.secret !== undefined) for (const form of formsOf(scope.secret)) this.secrets.add(form);
    this.calls += 1;
    const call = { connection, operation, input: (await input.evaluate(scope)) ?? {}, effectKey: `${effectKey}-${this.calls}`, signal };
    return (await connectors.run({ ...call, secrets: { given: [...this.secrets], madeIn: (body) => this.secretIn(body) } })).output;
  }

  private async secretOf(output: Json): Promise<string | undefined> {
    const secret = await this.secret?.evaluate({ output });
    return typeof secret === 'string' && secret !== '' ? secret : undefined;
  }

  /** The secret that an answer holds, also one that is not what the connector expects. */
  private async secretIn(body: Json): Promise<string | undefined> {
    try {
      const secret = await this.secretOf(body);
      if (secret !== undefined) this.secrets.add(secret);
      return secret;
    } catch (error) {
      if (error instanceof ExpressionFailed) return undefined;
      throw error;
    }
  }
}

/** A system may repeat the key without the prefix that marks it as a secret of webhooks. */
function formsOf(secret: string): string[] {
  return secret.startsWith(secretPrefix) ? [secret, secret.slice(secretPrefix.length)] : [secret];
}

function textsIn(value: Json | undefined): string[] {
  return [value ?? []].flat().filter((one): one is string => typeof one === 'string');
}
