import type { Fault, FaultRule } from './fault.js';

/** The scripted faults that are left. A request uses up one time of the first rule that matches it. */
export class FaultPlan {
  private rules: FaultRule[] = [];

  /** Adds rules after the existing ones. */
  add(rules: readonly FaultRule[]): void {
    this.rules.push(...rules.map((rule) => ({ ...rule })));
  }

  clear(): void {
    this.rules = [];
  }

  /** The rules with the times that are left of each. */
  get remaining(): readonly FaultRule[] {
    return this.rules;
  }

  take(request: { model: string; inputs: readonly string[] }): Fault | undefined {
    const rule = this.rules.find(({ match }) => matches(match, request));
    if (rule === undefined) return undefined;
    if (rule.times !== null) rule.times -= 1;
    if (rule.times === 0) this.rules = this.rules.filter((other) => other !== rule);
    return rule;
  }
}

function matches({ model, contains }: FaultRule['match'], request: { model: string; inputs: readonly string[] }): boolean {
  if (model !== undefined && model !== request.model) return false;
  return contains === undefined || request.inputs.some((input) => input.includes(contains));
}
