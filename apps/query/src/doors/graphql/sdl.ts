import { readFileSync } from 'node:fs';
import { Kind, parse, print } from 'graphql';
import type { DefinitionNode, DocumentNode } from 'graphql';
import { z } from 'zod';
import type { Handled, ResolvedFields } from '../../operations/part.js';
import { costOf, shapeOf } from '../../operations/shape.js';
import type { Cost } from '../../operations/shape.js';
import type { Operation } from '../../operations/operation.js';
import { outerValue } from './enum-values.js';

type Schema = z.core.$ZodType;

const failureMembers = 'ValidationError | NotFoundError | ForbiddenError | UnavailableError';

/**
 * The SDL of the operations: root fields with their arguments, input types, the types of their outputs, and for each command the union of its
 * result with the failures that every command can have. Directives, scalars and the types of failures stand in `base.graphql`.
 */
export function sdlOf(operations: readonly Handled[], resolved: readonly ResolvedFields[]): DocumentNode {
  const types = new TypeWriter(resolved);
  const roots = { query: [] as string[], command: [] as string[], subscription: [] as string[] };
  for (const { operation } of operations) roots[operation.kind].push(types.rootField(operation));
  const root = (name: string, about: string, fields: string[]): string => `${described(about)}type ${name} {\n${fields.join('\n')}\n}`;
  const base = readFileSync(new URL('base.graphql', import.meta.url), 'utf8');
  const text = [
    base,
    root('Query', 'Reads; every field answers for the tenant of the key.', roots.query),
    root('Mutation', 'Commands: each changes something, or orders a change, in the tenant of the key.', roots.command),
    root('Subscription', 'Streams of changes in the tenant of the key.', roots.subscription),
    ...types.definitions(),
  ].join('\n\n');
  return parse(text, { noLocation: true });
}

/** The SDL as a file: types in alphabetical order, the root types first. */
export function printSdl({ kind, definitions }: DocumentNode): string {
  const rank = (definition: DefinitionNode): string => {
    const name = 'name' in definition ? (definition.name?.value ?? '') : '';
    if (definition.kind === Kind.DIRECTIVE_DEFINITION) return `0${name}`;
    if (definition.kind === Kind.SCALAR_TYPE_DEFINITION) return `1${name}`;
    return (['Query', 'Mutation', 'Subscription'].includes(name) ? '2' : '3') + name;
  };
  return `${print({ kind, definitions: definitions.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)) })}\n`;
}

class TypeWriter {
  private readonly written = new Map<string, string>();
  private readonly resolvedBy: ReadonlyMap<string, ResolvedFields[]>;

  constructor(resolved: readonly ResolvedFields[]) {
    this.resolvedBy = Map.groupBy(resolved, ({ entity }) => entityName(entity));
  }

  definitions(): string[] {
    return [...this.written.values()];
  }

  rootField(operation: Operation): string {
    const { name, about, scope, cost, input } = operation;
    const directives = `@auth(scope: ${outerValue(scope)})${costDirective(cost)}`;
    if (operation.kind !== 'command') {
      const given = Object.entries(input.shape).map(([argument, type]) => this.inputField(argument, type));
      const list = given.length === 0 ? '' : `(\n${given.join('\n')}\n)`;
      return `${described(about)}${name}${list}: ${this.outputType(operation.output)} ${directives}`;
    }
    const typeName = commandTypeName(operation);
    const inputName = operation.inputName ?? `${typeName}Input`;
    this.write(inputName, () => this.inputObject(inputName, input, operation.aboutInput ?? `The input of \`${name}\`.`, false));
    const fields = Object.entries(operation.result).map(([field, type]) => this.outputField(field, type));
    this.write(
      `${typeName}Success`,
      () => `${described(operation.aboutResult ?? `The result of \`${name}\`.`)}type ${typeName}Success {\n${fields.join('\n')}\n}`,
    );
    this.write(
      `${typeName}Result`,
      () => `"What became of \`${name}\`: done, or why not."\nunion ${typeName}Result = ${typeName}Success | ${failureMembers}`,
    );
    return `${described(about)}${name}(\n"The input of the command."\ninput: ${inputName}!\n): ${typeName}Result! ${directives}`;
  }

  private write(name: string, definition: () => string): string {
    if (!this.written.has(name)) {
      this.written.set(name, ''); // a type may refer to itself through others
      this.written.set(name, definition());
    }
    return name;
  }

  private inputObject(name: string, object: z.ZodObject, about: string, exactlyOne: boolean): string {
    const fields = Object.entries(object.shape).map(([field, type]) => this.inputField(field, type));
    return `${described(about)}input ${name}${exactlyOne ? ' @oneOf' : ''} {\n${fields.join('\n')}\n}`;
  }

  private inputField(name: string, schema: Schema): string {
    const { inner, nullable, fallback } = unwrapped(schema);
    const type = this.named(inner, true) + (nullable ? '' : '!');
    const given = fallback === undefined ? '' : ` = ${typeof fallback === 'string' ? outerValue(fallback) : JSON.stringify(fallback)}`;
    return `${described(descriptionOf(schema))}${name}: ${type}${given}`;
  }

  private outputField(name: string, schema: Schema): string {
    return `${described(descriptionOf(schema))}${name}: ${this.outputType(schema)}${costDirective(costOf(schema))}`;
  }

  private outputType(schema: Schema): string {
    const { inner, nullable } = unwrapped(schema);
    return this.named(inner, false) + (nullable ? '' : '!');
  }

  /** The name of a type without its nullability; writes its definition where it has one. */
  private named(schema: Schema, isInput: boolean): string {
    const shape = shapeOf(schema);
    switch (shape?.kind) {
      case 'id':
        return 'ID';
      case 'json':
        return 'JSON';
      case 'count':
        return 'Count';
      case 'node':
        return 'Node';
      case 'enumeration':
        return this.write(shape.name, () => {
          const values = Object.entries(shape.values).map(([value, about]) => described(about) + outerValue(value));
          return `${described(shape.about)}enum ${shape.name} {\n${values.join('\n')}\n}`;
        });
      case 'input':
        return this.write(shape.name, () => this.inputObject(shape.name, schema as unknown as z.ZodObject, shape.about, shape.exactlyOne));
      case 'page':
        return this.page(shape.of);
      case 'entity':
        return this.write(shape.name, () => {
          const plain = Object.entries((schema as unknown as z.ZodObject).shape).map(([field, type]) => this.outputField(field, type));
          const resolved = (this.resolvedBy.get(shape.name) ?? []).flatMap(({ fields }) =>
            Object.entries(fields).map(([field, { type }]) => this.outputField(field, type)),
          );
          const node = shape.idPrefix === undefined ? '' : ' implements Node';
          return `${described(shape.about)}type ${shape.name}${node} {\n${[...plain, ...resolved].join('\n')}\n}`;
        });
      default:
        return this.unnamed(schema, isInput);
    }
  }

  private unnamed(schema: Schema, isInput: boolean): string {
    if (schema instanceof z.ZodArray) {
      const element = unwrapped(schema.element);
      return `[${this.named(element.inner, isInput)}${element.nullable ? '' : '!'}]`;
    }
    if (schema instanceof z.ZodDate) return 'DateTime';
    if (schema instanceof z.ZodString) return 'String';
    if (schema instanceof z.ZodBoolean) return 'Boolean';
    if (schema instanceof z.ZodNumber) return schema.format === 'safeint' ? 'Int' : 'Float';
    throw new Error(`No GraphQL type stands for a schema of type ${schema._zod.def.type}: use the vocabulary of operations/shape.ts`);
  }

  private page(of: z.ZodObject): string {
    const name = this.named(of, false);
    this.write(
      `${name}Edge`,
      () =>
        `"A row of a page, with its cursor."\ntype ${name}Edge {\n"For \`after\` or \`before\`: the place of the row in the list."\ncursor: String!\n"The row."\nnode: ${name}!\n}`,
    );
    return this.write(`${name}Connection`, () =>
      [
        `"A page of a list."\ntype ${name}Connection {`,
        `"The rows with their cursors."\nedges: [${name}Edge!]!`,
        `"The rows alone."\nnodes: [${name}!]!`,
        `"Whether there are rows before and after the page."\npageInfo: PageInfo!`,
        `"How many rows the filter finds in all; counted only where it is selected."\ntotalCount: Count! @cost(weight: 50)\n}`,
      ].join('\n'),
    );
  }
}

/** The schema without what says whether it must be given, which stands beside it. JSON can be null, unless it is marked otherwise. */
function unwrapped(schema: Schema): { inner: Schema; nullable: boolean; fallback: unknown } {
  let inner = schema;
  let nullable: boolean | undefined;
  let fallback: unknown;
  for (;;) {
    if (inner instanceof z.ZodNullable || inner instanceof z.ZodOptional) {
      inner = inner.unwrap();
      nullable ??= true;
    } else if (inner instanceof z.ZodDefault) {
      fallback = inner.def.defaultValue;
      inner = inner.unwrap();
      nullable ??= false;
    } else if (inner instanceof z.ZodReadonly) {
      inner = inner.unwrap();
    } else if (inner instanceof z.ZodNonOptional) {
      inner = inner.unwrap();
      nullable ??= false;
    } else {
      return { inner, nullable: nullable ?? shapeOf(inner)?.kind === 'json', fallback };
    }
  }
}

/** The description that stands at the field itself. */
function descriptionOf(schema: Schema): string | undefined {
  const found = z.globalRegistry.get(schema)?.description;
  if (found !== undefined) return found;
  const inner = 'innerType' in schema._zod.def ? (schema._zod.def.innerType as Schema) : undefined;
  return inner === undefined ? undefined : descriptionOf(inner);
}

/** The name that the types of a command begin with: `RedeliverInput`, `RedeliverResult`, `RedeliverSuccess`. */
export function commandTypeName({ name }: Operation): string {
  return name[0]!.toUpperCase() + name.slice(1);
}

/** The name of an entity's type. */
export function entityName(schema: Schema): string {
  const shape = shapeOf(schema);
  if (shape?.kind !== 'entity') throw new Error('Only an entity has fields of its own');
  return shape.name;
}

function costDirective(cost: Cost | undefined): string {
  if (cost === undefined) return '';
  const given = Object.entries(cost).map(([name, value]) => `${name}: ${value}`);
  return ` @cost(${given.join(', ')})`;
}

/** The description in SDL; a block string if it has several lines. */
function described(about: string | undefined): string {
  if (about === undefined) return '';
  return about.includes('\n') ? `"""\n${about}\n"""\n` : `${JSON.stringify(about)}\n`;
}
