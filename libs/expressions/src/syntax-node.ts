import type { Expression } from 'jsonata';

/** A node of JSONata's syntax tree, with fields by type. JSONata's own declaration leaves most of them out. */
export interface SyntaxNode {
  type: string;
  /** The name, the literal or the operator. */
  value?: unknown;
  /** The offset in the text at which reading the node ended. */
  position?: number;
  steps?: readonly SyntaxNode[];
  [field: string]: unknown;
}

/** The tree that the expression is evaluated by: what is changed in it changes the expression. */
export function syntaxOf(expression: Expression): SyntaxNode {
  return expression.ast() as SyntaxNode;
}
