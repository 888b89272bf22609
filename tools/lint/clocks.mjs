/**
 * The lint's rules about clocks, loaded by `.oxlintrc.json`. The wall clock steps, forward and back, so it says when something was and never how long
 * something takes.
 */

const readingsOfLibsTime = new Set(['wallTime', 'wallTimeMs']);
const comparisons = new Set(['<', '<=', '>', '>=']);

const isDate = (node) => node.type === 'Identifier' && node.name === 'Date';
const isDateNow = (node) => node.type === 'MemberExpression' && isDate(node.object) && nameOf(node) === 'now';
const isCurrentDate = ({ type, callee, arguments: values }) =>
  isDate(callee) && (type === 'CallExpression' || (type === 'NewExpression' && values.length === 0));

/** Of the member that an expression reads. */
function nameOf({ computed, property }) {
  return computed ? property?.value : property?.name;
}

/** True for an expression whose value is a moment of the wall clock, or of a stored time that was one. */
function isMoment(node) {
  if (node.type === 'NewExpression') return isDate(node.callee);
  if (node.type === 'UnaryExpression') return node.operator === '+' && isMoment(node.argument);
  if (node.type !== 'CallExpression') return false;
  const { callee } = node;
  if (callee.type === 'Identifier')
    return readingsOfLibsTime.has(callee.name) || (callee.name === 'Number' && node.arguments.some(isMoment));
  if (callee.type !== 'MemberExpression') return false;
  return nameOf(callee) === 'getTime' || (isDate(callee.object) && ['now', 'parse'].includes(nameOf(callee)));
}

/** The first value of the variable that an expression names, or else the expression. */
function valueOf(node, context) {
  if (node.type !== 'Identifier') return node;
  for (let scope = context.sourceCode.getScope(node); scope !== null; scope = scope.upper) {
    const [definition] = scope.set.get(node.name)?.defs ?? [];
    if (definition !== undefined) return definition.node.init ?? node;
  }
  return node;
}

/** True for what is subtracted from a moment to get an earlier moment: a number, or a product of durations. */
const isLength = ({ type, operator }) => type === 'Literal' || (type === 'BinaryExpression' && operator === '*');

/** `(a, b) => a.getTime() - b.getTime()` sorts. */
const isOrder = ({ parent }) =>
  parent.type === 'ArrowFunctionExpression' && ['sort', 'toSorted'].includes(nameOf(parent.parent.callee ?? {}));

/** Who needs the current time says that it is the wall clock's, so that a reader of a duration sees it. */
const wallTimeByName = {
  create: (context) => {
    const refuse = (node) =>
      context.report({
        node,
        message: 'It steps with the wall clock: use wallTime or wallTimeMs of libs/time for a moment, performance.now() for a duration.',
      });
    return {
      MemberExpression: (node) => isDateNow(node) && refuse(node),
      CallExpression: (node) => isCurrentDate(node) && refuse(node),
      NewExpression: (node) => isCurrentDate(node) && refuse(node),
    };
  },
};

/** Refuses the difference of two moments, and a loop or wait up to a moment that was reckoned from the wall clock. */
const noWallDuration = {
  create: (context) => {
    const value = (node) => valueOf(node, context);
    const refuse = (node) =>
      context.report({
        node,
        message: 'A duration by the wall clock is wrong after it steps: use performance.now(), or Stopwatch or latencyMs of libs/time.',
      });
    const isDeadline = (node) => {
      const { type, operator, left, right } = value(node);
      return type === 'BinaryExpression' && operator === '+' && (isMoment(value(left)) || isMoment(value(right)));
    };
    return {
      BinaryExpression(node) {
        const { operator, left, right } = node;
        if (operator === '-') {
          if (isOrder(node)) return;
          if (isMoment(value(right)) || (isMoment(value(left)) && !isLength(value(right)))) refuse(node);
        } else if (comparisons.has(operator)) {
          if ((isMoment(left) && isDeadline(right)) || (isMoment(right) && isDeadline(left))) refuse(node);
        }
      },
    };
  },
};

export default { meta: { name: 'millrace' }, rules: { 'wall-time-by-name': wallTimeByName, 'no-wall-duration': noWallDuration } };
