import { Injectable } from '@nestjs/common';
import type { FlowDocument, FlowSpec, StepKind } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { ModelGateway } from '#libs/models';
import type { Stored } from '#libs/persistence';
import { compileStep, stepKindsWith } from './step.kinds.js';
import type { StepKinds } from './step.kinds.js';
import type { StepWork } from './step.js';

/** A version of a flow, ready to run. */
export interface CompiledFlow {
  readonly name: string;
  /** The condition over `event`, where it has one. */
  readonly condition: Expression | undefined;
  readonly steps: readonly CompiledStep[];
  readonly decision: Expression | undefined;
}

export interface CompiledStep {
  readonly id: string;
  readonly kind: StepKind;
  readonly condition: Expression | undefined;
  /** Steps that must have finished. */
  readonly needs: readonly string[];
  /** Those and all that they need in turn: what the step may read. Others may or may not have finished, so it must not see them. */
  readonly reads: readonly string[];
  readonly work: StepWork;
}

/** Versions kept; compiling takes a millisecond, so forgetting one costs little. */
const limit = 1_000;

/** Compiles each version of a flow once. */
@Injectable()
export class FlowCompiler {
  private readonly kinds: StepKinds;
  private readonly compiled = new Map<string, CompiledFlow>();

  constructor(models: ModelGateway) {
    this.kinds = stepKindsWith(models);
  }

  /** @throws ExpressionInvalid, or an Error of the schema compiler, where an older release let a document in that this one cannot read */
  compile(flow: Stored<FlowDocument>): CompiledFlow {
    const key = `${flow.tenant}/${flow.name}/${flow.version}`;
    const compiled = this.compiled.get(key) ?? this.compileSpec(flow.name, flow.document.spec);
    this.compiled.delete(key);
    this.compiled.set(key, compiled);
    if (this.compiled.size > limit) this.compiled.delete(this.compiled.keys().next().value!);
    return compiled;
  }

  private compileSpec(name: string, spec: FlowSpec): CompiledFlow {
    return {
      name,
      condition: optional(spec.on.when),
      steps: this.compileSteps(spec),
      decision: optional(spec.decision),
    };
  }

  private compileSteps(spec: FlowSpec): CompiledStep[] {
    const readsOf = new Map<string, readonly string[]>();
    return spec.steps.map((step, at) => {
      const above = spec.steps[at - 1];
      const needs = step.needs ?? (above === undefined ? [] : [above.id]);
      const reads = [...new Set(needs.flatMap((need) => [...(readsOf.get(need) ?? []), need]))];
      readsOf.set(step.id, reads);
      return { id: step.id, condition: optional(step.when), needs, reads, ...compileStep(this.kinds, step) };
    });
  }
}

function optional(text: string | undefined): Expression | undefined {
  return text === undefined ? undefined : compileExpression(text);
}
