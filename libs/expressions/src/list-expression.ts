import jsonata from 'jsonata';
import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';
import { ExpressionFailed } from './expression.errors.js';
import { compileExpression } from './expression.js';
import type { ExpressionOptions } from './expression.js';
import { syntaxOf } from './syntax-node.js';
import type { SyntaxNode } from './syntax-node.js';

/** An expression whose value is a list. */
export interface ListExpression {
  readonly text: string;
  /** @throws ExpressionFailed, also if the value is no list; EvaluationsBusy */
  evaluate(input: unknown): Promise<readonly Json[]>;
}

const remedy = 'write [ ] around it where one value is a list of one, and nothing an empty list';

/**
 * Compiles an expression that must yield a list. JSONata makes one value of a list of one that it computed, and nothing of an empty one; both are
 * lists where the path leads through a list of the input, such as `body.rows[active]`. Nothing else stands for a list: neither a missing field nor an object.
 * @throws ExpressionInvalid
 */
export function compileListExpression(text: string, options: ExpressionOptions): ListExpression {
  const expression = compileExpression(text, options);
  const names = leadingNames(syntaxOf(jsonata(text)));
  return {
    text,
    evaluate: async (input) => {
      const found = await expression.evaluate(input);
      if (Array.isArray(found)) return found;
      if (leadsThroughList(names, input)) return found === undefined ? [] : [found];
      throw new ExpressionFailed(text, {
        reason: `it yields ${kindOf(found)} instead of a list (${remedy})`,
        limit: undefined,
        cause: undefined,
      });
    },
  };
}

/** The names that a path begins with; none if it takes one item by its number, or makes one object of all items. */
function leadingNames({ type, steps = [], group }: SyntaxNode): readonly string[] {
  if (type !== 'path' || group !== undefined) return [];
  const names: string[] = [];
  for (const step of steps) {
    if (step.type !== 'name') break;
    const stages = (step['stages'] ?? []) as readonly { readonly expr?: SyntaxNode }[];
    if (stages.some(({ expr }) => expr?.type === 'number')) return [];
    names.push(step.value as string);
    if (stages.length > 0) break;
  }
  return names;
}

function leadsThroughList(names: readonly string[], input: unknown): boolean {
  let value = input;
  for (const name of names) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return false;
    value = (value as Record<string, unknown>)[name];
    if (Array.isArray(value)) return true;
  }
  return false;
}

function kindOf(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' || value instanceof LosslessNumber ? 'a number' : 'an object';
}
