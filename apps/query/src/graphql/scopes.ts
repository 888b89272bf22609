import { defaultFieldResolver, getDirectiveValues } from 'graphql';
import type { GraphQLField, GraphQLSchema } from 'graphql';
import type { Scope } from '#libs/contracts';
import { ScopeMissing, requireScope } from '#libs/auth';
import type { QueryContext } from './context.js';
import { forbidden } from './user-errors.js';

/**
 * Makes `@auth` hold: queries and subscriptions fail with `credential.scope`, mutations answer with a `ForbiddenError`.
 * @throws Error for a field of a root type without `@auth`: the process must not start with a door that nobody decided on
 */
export function enforceScopes(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    for (const field of Object.values(type?.getFields() ?? {})) {
      guard(field, scopeOf(schema, field, type!.name), type === schema.getMutationType());
    }
  }
  return schema;
}

function scopeOf(schema: GraphQLSchema, field: GraphQLField<unknown, QueryContext>, type: string): Scope {
  const directive = schema.getDirective('auth');
  const given = directive && field.astNode ? getDirectiveValues(directive, field.astNode) : undefined;
  if (given === undefined) throw new Error(`${type}.${field.name} says no scope: add @auth(scope: …) to it in its .graphql file`);
  return given['scope'] as Scope;
}

function guard(field: GraphQLField<unknown, QueryContext>, scope: Scope, isMutation: boolean): void {
  const resolve = field.resolve ?? defaultFieldResolver;
  field.resolve = (parent, args, context, info) => {
    try {
      requireScope(context.principal, scope);
    } catch (error) {
      if (isMutation && error instanceof ScopeMissing) return forbidden(error, scope);
      throw error;
    }
    return resolve(parent, args, context, info);
  };
  const { subscribe } = field;
  if (subscribe === undefined) return;
  field.subscribe = (parent, args, context, info) => {
    requireScope(context.principal, scope);
    return subscribe(parent, args, context, info);
  };
}
