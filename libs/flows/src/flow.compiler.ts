import { allSteps, stepOrder, stepsOfFlow } from '#libs/contracts';
import type { FlowDocument, FlowStep } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { LruMap } from '#libs/lru';
import type { ModelGateway } from '#libs/models';
import type { Stored } from '#libs/persistence';
import { compileSchema } from '#libs/schemas';
import type { TenantOperations } from './operations.js';
import { compileStep } from './step.kinds.js';
import type { CompiledStep, StepServices } from './step.js';

/** A version of a flow, ready to run. */
export interface CompiledFlow {
  readonly name: string;
  /** The condition over `event`; undefined if the flow has none. */
  readonly condition: Expression | undefined;
  readonly steps: readonly CompiledStep[];
  readonly decision: Expression | undefined;
  /** The id of the `infer` step whose text callers may follow; undefined if there is none. */
  readonly draft: string | undefined;
  /** The steps that run when a run is given up; undefined if the flow has none. */
  readonly failureSteps: readonly CompiledStep[] | undefined;
}

/** Compiled versions kept in memory. Compiling one again takes a millisecond. */
const limit = 1_000;

/** The systems that steps reach. */
export interface FlowServices {
  readonly models: Pick<ModelGateway, 'infer'>;
  readonly operations: { of(tenant: string): TenantOperations };
}

/** Compiles each version of a flow once. */
export class FlowCompiler {
  private readonly compiled = new LruMap<string, CompiledFlow>(limit);

  constructor(private readonly services: FlowServices) {}

  /** @throws ExpressionInvalid or SchemaInvalid if an older release accepted a document that this one cannot read */
  compile(flow: Stored<FlowDocument>): CompiledFlow {
    return this.compiled.getOrMake(`${flow.tenant}/${flow.name}/${flow.version}`, () => this.compileSpec(flow));
  }

  private compileSpec({ tenant, name, document: { spec } }: Stored<FlowDocument>): CompiledFlow {
    const expression = (text: string): Expression => compileExpression(text, { owner: tenant });
    const optional = (text: string | undefined): Expression | undefined => (text === undefined ? undefined : expression(text));
    const steps = stepsOfFlow(spec).flatMap((list) => allSteps(list.steps));
    const services: StepServices = {
      tenant,
      flow: name,
      models: this.services.models,
      operations: this.services.operations.of(tenant),
      expression,
      schema: (schema) => compileSchema(schema, { owner: tenant }),
      outputSchemaOf: (id) => steps.find((step) => step.id === id)!.infer!.output, // checked when the flow was applied
      steps: (list) => compileSteps(list, services),
    };
    return {
      name,
      condition: optional(spec.on.when),
      steps: compileSteps(spec.steps, services),
      decision: optional(spec.decision),
      draft: spec.onRequest?.draft,
      failureSteps: typeof spec.onFailure === 'string' ? undefined : compileSteps(spec.onFailure.steps, services),
    };
  }
}

function compileSteps(steps: readonly FlowStep[], services: StepServices): CompiledStep[] {
  const order = stepOrder(steps);
  return steps.map((step, at) => ({
    id: step.id,
    condition: step.when === undefined ? undefined : services.expression(step.when),
    onError: compileOnError(step.onError, services),
    ...order[at]!,
    ...compileStep(step, services),
  }));
}

function compileOnError(onError: FlowStep['onError'], { expression, steps }: StepServices): CompiledStep['onError'] {
  if (onError === undefined) return undefined;
  const { retry, value, steps: fallback } = onError;
  return {
    retry,
    value: value === undefined ? undefined : expression(value),
    steps: fallback === undefined ? undefined : steps(fallback),
  };
}
