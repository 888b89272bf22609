import { GraphQLError, Kind, getDirectiveValues, getNamedType, isCompositeType } from 'graphql';
import type {
  FieldNode,
  FragmentDefinitionNode,
  GraphQLCompositeType,
  GraphQLField,
  GraphQLSchema,
  OperationDefinitionNode,
  SelectionSetNode,
} from 'graphql';
import { getArgumentValues, isInterfaceType, isObjectType } from 'graphql';
import { defaultPageSize } from '../../paging/paging.js';
import { QueryTooExpensive } from './graphql.errors.js';

export interface QueryLimits {
  /** Words and signs of a document; refused while it is parsed. */
  maxTokens: number;
  /** Fields within fields. */
  maxDepth: number;
  /** Fields of the operation itself, aliases counted each. */
  maxRootFields: number;
  /** The price of all fields, as `@cost` in the SDL says. */
  maxCost: number;
}

export const standardLimits: QueryLimits = { maxTokens: 2_000, maxDepth: 12, maxRootFields: 20, maxCost: 10_000 };

/** The arguments of the directive `@cost` on a field. */
interface FieldCost {
  weight: number;
  rows: number;
}

/** The schema does not change, so what its directives say is read once. */
const costs = new WeakMap<GraphQLField<unknown, unknown>, FieldCost>();

interface Price {
  cost: number;
  depth: number;
}

/**
 * Refuses an operation that asks for more than one request may. Variables count as what they are, defaults included, so `first: $n` is no way
 * around. Each fragment is priced once, so fragments within fragments cost no time here, but their full price.
 * @throws QueryTooExpensive
 */
export function enforceLimits(
  schema: GraphQLSchema,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  operation: OperationDefinitionNode,
  variables: Record<string, unknown>,
  limits: QueryLimits,
): void {
  const root = schema.getRootType(operation.operation);
  if (!root) return;
  const pricing = new Pricing(schema, fragments, variables);
  const rootFields = pricing.countFields(operation.selectionSet);
  if (rootFields > limits.maxRootFields) {
    throw new QueryTooExpensive(`The operation has ${rootFields} fields at its root; ${limits.maxRootFields} are the most`);
  }
  const { cost, depth } = pricing.ofSelection(root, operation.selectionSet);
  if (depth > limits.maxDepth) throw new QueryTooExpensive(`The operation is ${depth} fields deep; ${limits.maxDepth} is the most`);
  if (cost > limits.maxCost)
    throw new QueryTooExpensive(`The operation costs ${cost}; ${limits.maxCost} is the most. Ask for fewer rows or fields`);
}

class Pricing {
  private readonly ofFragments = new Map<string, Price>();
  private readonly fieldsOfFragments = new Map<string, number>();

  constructor(
    private readonly schema: GraphQLSchema,
    private readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>,
    private readonly variables: Record<string, unknown>,
  ) {}

  countFields(selection: SelectionSetNode): number {
    let count = 0;
    for (const node of selection.selections) {
      if (node.kind === Kind.FIELD) count += 1;
      else if (node.kind === Kind.INLINE_FRAGMENT) count += this.countFields(node.selectionSet);
      else count += this.once(this.fieldsOfFragments, node.name.value, (fragment) => this.countFields(fragment.selectionSet)) ?? 0;
    }
    return count;
  }

  ofSelection(type: GraphQLCompositeType, selection: SelectionSetNode): Price {
    const total = { cost: 0, depth: 0 };
    for (const node of selection.selections) {
      const price =
        node.kind === Kind.FIELD
          ? this.ofField(type, node)
          : node.kind === Kind.INLINE_FRAGMENT
            ? this.ofSelection(this.typeNamed(node.typeCondition?.name.value) ?? type, node.selectionSet)
            : this.once(this.ofFragments, node.name.value, (fragment) =>
                this.ofSelection(this.typeNamed(fragment.typeCondition.name.value) ?? type, fragment.selectionSet),
              );
      total.cost += price?.cost ?? 0;
      total.depth = Math.max(total.depth, price?.depth ?? 0);
    }
    return total;
  }

  /** Introspection has a limit of its own in graphql-js, and its fields are no rows. */
  private ofField(type: GraphQLCompositeType, node: FieldNode): Price {
    const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[node.name.value] : undefined;
    if (field === undefined) return { cost: 1, depth: 1 };
    const { weight, rows } = costs.get(field) ?? this.costOf(field);
    const inner = getNamedType(field.type);
    if (node.selectionSet === undefined || !isCompositeType(inner)) return { cost: weight, depth: 1 };
    const below = this.ofSelection(inner, node.selectionSet);
    return { cost: weight + (this.rowsAsked(field, node) ?? rows) * below.cost, depth: below.depth + 1 };
  }

  private costOf(field: GraphQLField<unknown, unknown>): FieldCost {
    const directive = this.schema.getDirective('cost');
    const given = directive && field.astNode ? getDirectiveValues(directive, field.astNode) : undefined;
    const cost = { weight: (given?.['weight'] as number | undefined) ?? 1, rows: (given?.['rows'] as number | undefined) ?? 1 };
    costs.set(field, cost);
    return cost;
  }

  /** The rows that the list argument asks for; undefined if the field has none. */
  private rowsAsked(field: GraphQLField<unknown, unknown>, node: FieldNode): number | undefined {
    if (field.args.length === 0) return undefined;
    const given = this.argumentsOf(field, node);
    if (Array.isArray(given['ids'])) return given['ids'].length;
    if (!field.args.some(({ name }) => name === 'first')) return undefined;
    const rows = given['first'] ?? given['last'] ?? defaultPageSize;
    return typeof rows === 'number' ? Math.max(1, rows) : defaultPageSize;
  }

  /** An argument that does not fit is refused where the field is executed; it is no reason to fail here. */
  private argumentsOf(field: GraphQLField<unknown, unknown>, node: FieldNode): Record<string, unknown> {
    try {
      return getArgumentValues(field, node, this.variables);
    } catch (error) {
      if (error instanceof GraphQLError) return {};
      throw error;
    }
  }

  private typeNamed(name: string | undefined): GraphQLCompositeType | undefined {
    const type = name === undefined ? undefined : this.schema.getType(name);
    return isCompositeType(type) ? type : undefined;
  }

  private once<T>(known: Map<string, T>, name: string, price: (fragment: FragmentDefinitionNode) => T): T | undefined {
    const fragment = this.fragments.get(name);
    if (fragment === undefined) return undefined;
    const found = known.get(name) ?? price(fragment);
    known.set(name, found);
    return found;
  }
}
