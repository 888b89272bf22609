import { Injectable } from '@nestjs/common';
import { stepOrder } from '#libs/contracts';
import type { FlowDocument, FlowSpec, StepKind, StepOrder } from '#libs/contracts';
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

export interface CompiledStep extends StepOrder {
  readonly id: string;
  readonly kind: StepKind;
  readonly condition: Expression | undefined;
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

  /** @throws ExpressionInvalid or SchemaInvalid if an older release accepted a document that this one cannot read */
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
    const order = stepOrder(spec.steps);
    return spec.steps.map((step, at) => ({
      id: step.id,
      condition: optional(step.when),
      ...order[at]!,
      ...compileStep(step, this.services),
    }));
  }
}

function optional(text: string | undefined): Expression | undefined {
  return text === undefined ? undefined : compileExpression(text);
}
