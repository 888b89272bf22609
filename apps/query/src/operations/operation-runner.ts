import { Injectable } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import DataLoader from 'dataloader';
import { KeyRing, requireScope } from '#libs/auth';
import type { Principal } from '#libs/auth';
import type { DomainError } from '#libs/contracts';
import { readAs } from '#libs/documents';
import { parts } from '../parts.generated.js';
import { ArgumentInvalid, InputInvalid } from './input.errors.js';
import type { Violation } from './input.errors.js';
import type { Operation } from './operation.js';
import type { Get, Handled, Loader, NodeKind, OperationContext, Part, ResolvedFields } from './part.js';
import { shapeOf } from './shape.js';
import { unstorableValue } from './unstorable-value.js';

/** The headers that say who asks. */
export interface RequestCredentials {
  /** The header `authorization`. */
  authorization: string | undefined;
  /** The header `millrace-tenant`: the tenant that the operator acts in. */
  tenant: string | undefined;
}

const all: readonly Part[] = Object.values(parts);

/** Every operation with its handler. Two of one name do not start. */
export const handled: readonly Handled[] = unique(all.flatMap(({ operations }) => operations));
export const contractOperations: readonly Operation[] = handled.map(({ operation }) => operation);
export const resolvedFields: readonly ResolvedFields[] = all.flatMap(({ fields = [] }) => fields);
const nodeKindsByPrefix = new Map(all.flatMap(({ node }) => node ?? []).map((kind) => [prefixOf(kind), kind]));

export const nodePrefixes: readonly string[] = [...nodeKindsByPrefix.keys()];

function prefixOf({ entity }: NodeKind): string {
  const shape = shapeOf(entity);
  if (shape?.kind !== 'entity' || shape.idPrefix === undefined) throw new Error('An entity that is a node needs an idPrefix');
  return shape.idPrefix;
}

/** Runs operations for every door: authenticates, checks the scope, parses the input, calls the handler. */
@Injectable()
export class OperationRunner {
  private readonly found = new Map<Type, unknown>();

  constructor(
    private readonly keys: KeyRing,
    private readonly providers: ModuleRef,
  ) {}

  /**
   * @param hasCallerLeft default: it stays
   * @throws CredentialMissing, CredentialInvalid, TenantForbidden, TenantNotNamed
   */
  async contextFor({ authorization, tenant }: RequestCredentials, hasCallerLeft = (): boolean => false): Promise<OperationContext> {
    return new CallContext(await this.keys.authenticate(authorization, tenant), this.get, hasCallerLeft);
  }

  /**
   * @throws ScopeMissing if the principal lacks the operation's scope
   * @throws ArgumentInvalid or, for a command, InputInvalid if the input does not fit
   */
  run({ operation, handler }: Handled, context: OperationContext, input: unknown): unknown {
    requireScope(context.principal, operation.scope);
    return handler(context, parsed(operation, input) as never);
  }

  private readonly get: Get = <T>(type: Type<T>): T => {
    const known = this.found.get(type);
    if (known !== undefined) return known as T;
    const provider = this.providers.get(type, { strict: false });
    this.found.set(type, provider);
    return provider;
  };
}

/** Its functions are properties, so that handlers can take them apart from it. */
class CallContext implements OperationContext {
  private isAnswered = false;
  private readonly loaders = new Map<Loader<unknown>, DataLoader<string, unknown>>();

  constructor(
    readonly principal: Principal,
    readonly get: Get,
    private readonly hasCallerLeft: () => boolean,
  ) {}

  readonly isAbandoned = (): boolean => this.isAnswered || this.hasCallerLeft();

  readonly abandon = (): void => void (this.isAnswered = true);

  readonly load = <Row>(from: Loader<Row>, key: string): Promise<Row> => {
    const known = this.loaders.get(from) as DataLoader<string, Row> | undefined;
    return (known ?? this.made(from)).load(key);
  };

  readonly find = async (id: string): Promise<{ id: string } | null> => (await nodeKindOf(id)?.find(this, id)) ?? null;

  private made<Row>(from: Loader<Row>): DataLoader<string, Row> {
    const made = new DataLoader<string, Row>(
      async (keys) => spread(keys, await from.batch(this.get, this.principal.tenant, [...new Set(keys)])),
      { cache: false },
    );
    this.loaders.set(from, made);
    return made;
  }
}

/** The kind of entity that ids with this prefix belong to. */
export function nodeKindOf(id: string): NodeKind | undefined {
  return nodeKindsByPrefix.get(id.split('_', 1)[0]!);
}

/** The rows of the distinct keys, one for each place that asked. */
function spread<Row>(keys: readonly string[], rows: readonly Row[]): Row[] {
  const index = new Map([...new Set(keys)].map((key, at) => [key, at]));
  return keys.map((key) => rows[index.get(key)!]!);
}

function parsed(operation: Operation, input: unknown): unknown {
  const unstorable = unstorableValue(input);
  if (unstorable !== undefined) throw refusalOf(operation, [unstorable]);
  const read = readAs<unknown>(operation.input, input);
  if ('problems' in read) throw refusalOf(operation, read.problems);
  return read.value;
}

function refusalOf({ kind }: Operation, violations: readonly Violation[]): DomainError {
  if (kind === 'command') return new InputInvalid(violations);
  const { path, message } = violations[0]!;
  return new ArgumentInvalid(path.join('.'), message);
}

function unique(operations: readonly Handled[]): readonly Handled[] {
  const names = operations.map(({ operation }) => operation.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new Error(`Two parts declare the operation ${twice}`);
  return operations;
}
