import { Kind, TokenKind } from 'graphql';
import type { ASTNode, GraphQLError, Token } from 'graphql';

/**
 * The argument at which a value of a document was refused, such as `filter.receivedFrom`; of a variable, the first one that it is given to, with the place
 * in the variable. Undefined if the error is about no value.
 */
export function argumentOf(error: GraphQLError): string | undefined {
  const [node] = error.nodes ?? [];
  if (node?.loc === undefined) return undefined;
  if (node.kind !== Kind.VARIABLE_DEFINITION) return isValue(node) ? argumentBefore(node.loc.startToken) : undefined;
  const used = useOf(node.variable.name.value, node.loc.startToken);
  const argument = used && argumentBefore(used);
  return argument === undefined ? undefined : argument + innerPath(error);
}

/** The message of a scalar with the argument; any other as it is. */
export function namingArgument(error: GraphQLError, cause: Error, argument: string): string {
  if (!/^(?:must|may) /.test(cause.message)) return error.message;
  if (cause === error || error.nodes?.[0]?.kind !== Kind.VARIABLE_DEFINITION) return `${argument} ${cause.message}`;
  return `${headOf(error, cause).replace(placeInVariable, '')} at "${argument}"; ${cause.message}`;
}

const placeInVariable = / at "\w+((?:\.\w+|\[\d+\])*)"$/;

/** The message of graphql-js before that of the scalar: `Variable "$filter" got invalid value "x" at "filter.receivedFrom"`. */
function headOf(error: GraphQLError, cause: Error): string {
  return error.message.slice(0, -`; ${cause.message}`.length);
}

function innerPath(error: GraphQLError): string {
  const cause = error.originalError;
  const [, path = ''] = (cause && placeInVariable.exec(headOf(error, cause))) ?? [];
  return path.replaceAll(/\[(\d+)\]/g, '.$1');
}

const valueKinds: readonly string[] = [
  Kind.INT,
  Kind.FLOAT,
  Kind.STRING,
  Kind.BOOLEAN,
  Kind.NULL,
  Kind.ENUM,
  Kind.LIST,
  Kind.OBJECT,
  Kind.VARIABLE,
];

function isValue({ kind }: ASTNode): boolean {
  return valueKinds.includes(kind);
}

const openers: readonly string[] = [TokenKind.PAREN_L, TokenKind.BRACE_L, TokenKind.BRACKET_L];
const closers: readonly string[] = [TokenKind.PAREN_R, TokenKind.BRACE_R, TokenKind.BRACKET_R];

/** Reads backwards from a value to the bracket that its arguments begin with. Undefined for the default of a variable. */
function argumentBefore(value: Token): string | undefined {
  const path: string[] = [];
  let closed = 0;
  let isNamed = false;
  for (let token = value.prev; token !== null; token = token.prev) {
    const { kind } = token;
    if (closers.includes(kind)) closed += 1;
    else if (closed > 0) closed -= openers.includes(kind) ? 1 : 0;
    else if (kind === TokenKind.PAREN_L) return path.join('.');
    else if (kind === TokenKind.EQUALS) return undefined;
    else if (kind === TokenKind.BRACE_L) isNamed = false;
    else if (kind === TokenKind.COLON && !isNamed) {
      path.unshift(token.prev!.value);
      isNamed = true;
    }
  }
  return undefined;
}

/** The `$` of the first use of a variable behind its definition, or in a fragment before it. */
function useOf(name: string, definition: Token): Token | undefined {
  const from = (start: Token): Token | undefined => {
    for (let token: Token | null = start; token !== null; token = token.next) {
      const isName = token.kind === TokenKind.DOLLAR && token.next?.value === name;
      if (isName && token.next?.next?.kind !== TokenKind.COLON) return token;
    }
    return undefined;
  };
  let first = definition;
  while (first.prev !== null) first = first.prev;
  return from(definition) ?? from(first);
}
