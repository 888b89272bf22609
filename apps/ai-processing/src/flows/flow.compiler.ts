import { Injectable } from '@nestjs/common';
import type { FlowDocument, FlowSpec, StepKind } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { ModelGateway } from '#libs/models';
import type { Stored } from '#libs/persistence';
import { compileStep } from './step.kinds.js';
import type { StepServices, StepWork } from './step.js';

/** A version of a flow, ready to run. */
export interface CompiledFlow {
  readonly name: string;
  /** The condition over `event`; undefined if the flow has none. */
  readonly condition: Expression | undefined;
  readonly steps: readonly CompiledStep[];
  readonly decision: Expression | undefined;
}

export interface CompiledStep {
  readonly id: string;
  readonly kind: StepKind;
  readonly condition: Expression | undefined;
  /** Ids of the steps that must have finished. */
  readonly needs: readonly string[];
  /** Ids of the steps whose outputs this one may read: its needs, and all that they need in turn. Others may or may not have finished by then. */
  readonly reads: readonly string[];
  readonly work: StepWork;
}

/** Compiled versions kept in memory. Compiling one again takes a millisecond. */
const limit = 1_000;

/** Compiles each version of a flow once. */
@Injectable()
export class FlowCompiler {
  private readonly services: StepServices;
  private readonly compiled = new Map<string, CompiledFlow>();

  constructor(models: ModelGateway) {
    this.services = { models };
  }

  /** @throws ExpressionInvalid, or an Error of the schema compiler, if an older release accepted a document that this one cannot read */
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
      return { id: step.id, condition: optional(step.when), needs, reads, ...compileStep(step, this.services) };
    });
  }
}

function optional(text: string | undefined): Expression | undefined {
  return text === undefined ? undefined : compileExpression(text);
}
