import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';

/** A metric that an expression names, with the labels that it needs of it. */
export interface NamedMetric {
  readonly metric: string;
  /** Labels of matchers, with the values that are named literally. */
  readonly matchers: readonly { readonly label: string; readonly values: readonly string[] }[];
}

export interface ReadExpression {
  readonly metrics: readonly NamedMetric[];
  /** Labels in `by`, `without`, `on` and `ignoring`. */
  readonly labels: readonly string[];
}

/** Reads the names in a PromQL expression. @throws Error if Prometheus would not take it */
export function readExpression(text: string): ReadExpression {
  const metrics: NamedMetric[] = [];
  const labels: string[] = [];
  const textOf = ({ from, to }: { from: number; to: number }): string => text.slice(from, to);
  parser.parse(text).iterate({
    enter: ({ node, type, name, from }) => {
      if (type.isError) throw new Error(`PromQL: ${text} is wrong at ${from}`);
      if (name === 'VectorSelector') metrics.push(selector(node, textOf));
      if (name === 'LabelName' && node.parent?.name === 'GroupingLabels') labels.push(textOf(node));
    },
  });
  return { metrics, labels };
}

function selector(node: SyntaxNode, textOf: (node: SyntaxNode) => string): NamedMetric {
  const name = node.getChild('Identifier');
  if (name === null) throw new Error(`PromQL: ${textOf(node)} names no metric`);
  const matchers = node.getChild('LabelMatchers');
  const found = (matchers?.getChildren('UnquotedLabelMatcher') ?? []).map((matcher) => {
    const [literal, operation] = [matcher.getChild('StringLiteral'), matcher.getChild('MatchOp')];
    if (literal === null || operation === null) throw new Error(`PromQL: ${textOf(matcher)} compares with no value`);
    const value = textOf(literal).slice(1, -1);
    const operator = textOf(operation);
    const isLiteral = operator === '=' || (operator === '=~' && /^[\w.|-]+$/.test(value));
    return { label: textOf(matcher.getChild('LabelName')!), values: isLiteral ? (operator === '=' ? [value] : value.split('|')) : [] };
  });
  return { metric: textOf(name), matchers: found };
}
