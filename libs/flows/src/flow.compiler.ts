import { Injectable } from '@nestjs/common';
import { stepOrder } from '#libs/contracts';
import type { FlowDocument, FlowSpec, StepKind, StepOrder } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { LruMap } from '#libs/lru';
import { ModelGateway } from '#libs/models';
import type { Stored } from '#libs/persistence';
import { compileSchema } from '#libs/schemas';
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
  private readonly compiled = new LruMap<string, CompiledFlow>(limit);

  constructor(private readonly models: ModelGateway) {}

  /** @throws ExpressionInvalid or SchemaInvalid if an older release accepted a document that this one cannot read */
  compile(flow: Stored<FlowDocument>): CompiledFlow {
    return this.compiled.getOrMake(`${flow.tenant}/${flow.name}/${flow.version}`, () => this.compileSpec(flow));
  }

  private compileSpec({ tenant, name, document: { spec } }: Stored<FlowDocument>): CompiledFlow {
    const expression = (text: string): Expression => compileExpression(text, { owner: tenant });
    const optional = (text: string | undefined): Expression | undefined => (text === undefined ? undefined : expression(text));
    return {
      name,
      condition: optional(spec.on.when),
      steps: compileSteps(spec, { models: this.models, expression, schema: (schema) => compileSchema(schema, { owner: tenant }) }),
      decision: optional(spec.decision),
    };
  }
}

function compileSteps(spec: FlowSpec, services: StepServices): CompiledStep[] {
  const order = stepOrder(spec.steps);
  return spec.steps.map((step, at) => {
    const condition = step.when === undefined ? undefined : services.expression(step.when);
    return { id: step.id, condition, ...order[at]!, ...compileStep(step, services) };
  });
}
