import { allSteps, stepsOfFlow, stepsWithin } from '#libs/contracts';
import type { FlowDocument, FlowStep } from '#libs/contracts';
import { didYouMean } from '#libs/schemas';
import { idOf } from './written-answers.js';

/** The kinds of steps that ask something outside of the flow. */
const asking = ['infer', 'enrich', 'call', 'review'] as const;

/** The steps of a flow and of those that it calls, by the paths under which a run has them. */
export class StepPaths {
  constructor(
    private readonly flow: FlowDocument,
    /** The flows that it may call. */
    private readonly flows: readonly FlowDocument[],
  ) {}

  /** The problem of a name in `answers`: the path of a step that asks something, or its id alone. Undefined: it is one. */
  problemOfAnswer(name: string): string | undefined {
    const all = this.reachable();
    const steps = name.includes('/') ? [this.find(name)].filter((one) => one !== undefined) : all.filter(({ id }) => id === name);
    if (steps.length === 0) return this.unknown(name, all);
    if (steps.some(asks)) return undefined;
    return `the step ${name} asks nothing outside, so it takes no answer: answers are for steps of the kinds ${asking.join(', ')}`;
  }

  /** The problem of a name in `expect.steps`: the path of a step, or what it keeps beside its output, such as `route:choice`. Undefined: it is one. */
  problemOfOutput(path: string): string | undefined {
    const [kept] = path.split(':');
    if (this.find(kept!) !== undefined || (path.includes(':') && this.hasItem(kept!))) return undefined;
    const all = this.reachable();
    const isWithin = all.some(({ id }) => id === kept) && !kept!.includes('/');
    return isWithin ? `is within another step: write the path of ${kept}, such as ${this.pathOf(kept!)}` : this.unknown(path, all);
  }

  private unknown(name: string, all: readonly FlowStep[]): string {
    const ids = all.map(({ id }) => id);
    const similar = didYouMean(idOf(name), ids);
    return `names no step of the flow ${this.flow.metadata.name}${similar || `: it has ${[...new Set(ids)].join(', ')}`}`;
  }

  /** The steps of the flow and of all flows that it can come to call. */
  private reachable(): FlowStep[] {
    const met = new Set([this.flow]);
    for (const flow of met) for (const step of stepsOf(flow)) for (const called of this.calledBy(step)) met.add(called);
    return [...met].flatMap(stepsOf);
  }

  private find(path: string): FlowStep | undefined {
    const [first, ...rest] = path.split('/');
    const [own, onFailure] = stepsOfFlow(this.flow.spec).map(({ steps }) => steps);
    return first === 'onFailure' ? this.stepAt(onFailure ?? [], rest) : this.stepAt(own!, [first!, ...rest]);
  }

  private stepAt(list: readonly FlowStep[], [id, ...rest]: readonly string[]): FlowStep | undefined {
    const step = list.find((one) => one.id === id);
    if (step === undefined || rest.length === 0) return step;
    if (rest[0] === 'onError') return this.stepAt(step.onError?.steps ?? [], rest.slice(1));
    const [, ...inItem] = rest; // behind the key of an item
    return this.stepAt(this.listWithin(step), step.forEach === undefined ? rest : inItem);
  }

  /** True for the path of an item, `orders/4711`. */
  private hasItem(path: string): boolean {
    return this.find(path.slice(0, path.lastIndexOf('/')))?.forEach !== undefined;
  }

  /** The steps that stand under the path of a step, those of its fallback aside. */
  private listWithin(step: FlowStep): FlowStep[] {
    const called = this.calledBy(step).flatMap(({ spec }) => spec.steps);
    return [...called, ...stepsWithin(step).flatMap(({ path, steps }) => (path[0] === 'onError' ? [] : steps))];
  }

  private calledBy({ call }: FlowStep): FlowDocument[] {
    return call !== undefined && 'flow' in call ? this.flows.filter(({ metadata }) => metadata.name === call.flow) : [];
  }

  /** The path of a step by its id, with KEY in the place of the key of an item. */
  private pathOf(id: string): string {
    const met = new Set<FlowStep>(); // a flow may come to call itself
    const within = (list: readonly FlowStep[], prefix: string): string | undefined => {
      for (const step of list.filter((one) => !met.has(one))) {
        met.add(step);
        const path = prefix + step.id;
        if (step.id === id) return path;
        const found =
          within(step.onError?.steps ?? [], `${path}/onError/`) ??
          within(this.listWithin(step), step.forEach === undefined ? `${path}/` : `${path}/KEY/`);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    const [own, onFailure] = stepsOfFlow(this.flow.spec).map(({ steps }) => steps);
    return within(own!, '') ?? within(onFailure ?? [], 'onFailure/')!;
  }
}

function stepsOf({ spec }: FlowDocument): FlowStep[] {
  return stepsOfFlow(spec).flatMap(({ steps }) => allSteps(steps));
}

function asks(step: FlowStep): boolean {
  return asking.some((kind) => step[kind] !== undefined) && !(step.call !== undefined && 'flow' in step.call);
}
