import { GraphQLError, Kind, OperationTypeNode, execute, getVariableValues } from 'graphql';
import type { DocumentNode, ExecutionResult, FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode } from 'graphql';
import { compileQuery, isCompiledQuery } from 'graphql-jit';
import type { CompiledQuery } from 'graphql-jit';
import { LruMap } from '#libs/lru';
import { startTimer } from '#libs/time';
import type { GraphQLContext } from './resolvers.js';
import { enforceLimits } from './limits.js';
import type { QueryLimits } from './limits.js';
import { RequestTimedOut, SubscriptionNeedsStream } from './graphql.errors.js';
import { withDefaults } from './input-defaults.js';

/** A valid document's operation, ready to run. */
export interface ExecutionRequest {
  schema: GraphQLSchema;
  document: DocumentNode;
  operation: OperationDefinitionNode;
  /** The variables of the request, not yet coerced. */
  variables: Record<string, unknown>;
  context: GraphQLContext;
}

/** Refused before anything ran, or run. */
export type Executed = { refused: readonly GraphQLError[] } | { result: ExecutionResult };

/** A document is compiled when it is seen this often: compiling costs as much as some ten executions. */
const compileAfter = 5;
/** Compiled documents are kept for the most recently used ones; each takes some megabytes. */
const maxCompiled = 100;

interface DocumentUse {
  times: number;
  compiled?: CompiledQuery;
}

/** Runs operations within the limits and the deadline; what is seen often runs as compiled code at a fifth of the cost. */
export class Executor {
  private readonly seen = new LruMap<OperationDefinitionNode, DocumentUse>(maxCompiled);

  constructor(private readonly options: { limits: QueryLimits; timeoutMs: number }) {}

  /** The variables, coerced by graphql-js, and the price checked with them: graphql-jit lets through what `@oneOf` forbids. */
  check({ schema, document, operation, variables }: Omit<ExecutionRequest, 'context'>): readonly GraphQLError[] {
    const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables, { maxErrors: 10 });
    if (errors !== undefined) return errors;
    try {
      enforceLimits(schema, fragmentsOf(document), operation, coerced, this.options.limits);
      return [];
    } catch (error) {
      return [asGraphQLError(error as Error)];
    }
  }

  async execute(request: ExecutionRequest): Promise<Executed> {
    const isStream = request.operation.operation === OperationTypeNode.SUBSCRIPTION;
    const refused = isStream ? [asGraphQLError(new SubscriptionNeedsStream())] : this.check(request);
    if (refused.length > 0) return { refused };
    const { promise: deadline, reject } = Promise.withResolvers<never>();
    const { timeoutMs } = this.options;
    const timer = startTimer(() => reject(new RequestTimedOut(timeoutMs)), timeoutMs);
    try {
      return { result: await Promise.race([this.run(request), deadline]) };
    } catch (error) {
      if (!(error instanceof RequestTimedOut)) throw error;
      request.context.abandon();
      return { refused: [asGraphQLError(error)] };
    } finally {
      clearTimeout(timer);
    }
  }

  private async run({ schema, document, operation, variables, context }: ExecutionRequest): Promise<ExecutionResult> {
    const compiled = this.compiledFor(schema, document, operation);
    if (compiled !== undefined) return compiled.query(undefined, context, withDefaults(schema, operation, variables));
    const operationName = operation.name?.value;
    return execute({
      schema,
      document,
      contextValue: context,
      variableValues: variables,
      ...(operationName === undefined ? {} : { operationName }),
    });
  }

  private compiledFor(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): CompiledQuery | undefined {
    const seen = this.seen.getOrMake(operation, () => ({ times: 0 }));
    seen.times += 1;
    if (seen.times === compileAfter) {
      const compiled = compileQuery(schema, document, operation.name?.value);
      if (isCompiledQuery(compiled)) seen.compiled = compiled;
    }
    return seen.compiled;
  }
}

function asGraphQLError(error: Error): GraphQLError {
  return new GraphQLError(error.message, { originalError: error });
}

function fragmentsOf(document: DocumentNode): Map<string, FragmentDefinitionNode> {
  const fragments = document.definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  return new Map(fragments.map((fragment) => [fragment.name.value, fragment]));
}
