import { getNullableType, isInputObjectType, isInputType, isListType, typeFromAST, valueFromASTUntyped } from 'graphql';
import type { GraphQLInputType, GraphQLSchema, OperationDefinitionNode } from 'graphql';

/**
 * The variables with the defaults of the request, and those of the input fields that they leave out. graphql-jit refuses a required variable or field that
 * is left out although it has a default; graphql-js does not. Values stay as the request has them (enum names, texts of dates), because graphql-jit coerces them itself. The
 * result inherits nothing, because graphql-jit reads a variable named `toString` that the request lacks off its prototype.
 */
export function withDefaults(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  variables: Record<string, unknown>,
): Record<string, unknown> {
  const completed = Object.assign(Object.create(null) as Record<string, unknown>, variables);
  for (const { variable, type, defaultValue } of operation.variableDefinitions ?? []) {
    const name = variable.name.value;
    if (!(name in completed) && defaultValue !== undefined) completed[name] = valueFromASTUntyped(defaultValue);
    const inputType = typeFromAST(schema, type);
    if (name in completed && isInputType(inputType)) completed[name] = complete(inputType, completed[name]);
  }
  return completed;
}

function complete(type: GraphQLInputType, value: unknown): unknown {
  if (value === null || value === undefined) return value;
  const inner = getNullableType(type);
  if (isListType(inner)) {
    return Array.isArray(value) ? value.map((item) => complete(inner.ofType, item)) : complete(inner.ofType, value);
  }
  if (!isInputObjectType(inner) || typeof value !== 'object') return value;
  const completed: Record<string, unknown> = { ...value };
  for (const [name, field] of Object.entries(inner.getFields())) {
    const fallback = field.astNode?.defaultValue;
    if (Object.hasOwn(completed, name)) completed[name] = complete(field.type, completed[name]);
    else if (fallback !== undefined) completed[name] = valueFromASTUntyped(fallback);
  }
  return completed;
}
