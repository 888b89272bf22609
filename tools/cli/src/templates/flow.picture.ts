import { stepsWithin } from '#libs/contracts';
import type { FlowDocument, FlowStep } from '#libs/contracts';

/** How a list of steps begins. */
interface Entry {
  readonly from: string;
  /** The condition under which it is taken. */
  readonly label?: string | undefined;
}

const longestLabel = 48;

/** The picture of a flow, generated from its document, in the language of Mermaid. */
export function pictureOf(flow: FlowDocument): string {
  return new Picture().of(flow);
}

class Picture {
  private readonly lines: string[] = ['flowchart TD'];
  private nodes = 0;

  of({ spec }: FlowDocument): string {
    const { sources = [], types = [], when } = spec.on;
    const trigger = this.node('([', [...(types.length > 0 ? types : ['every event']), ...sources.map((source) => `from ${source}`)], '])');
    const exits = this.list(spec.steps, [{ from: trigger, label: when }]);
    const decision = this.node('[/', ['decision'], '/]');
    const read = [...(spec.decision ?? '').matchAll(/\bsteps\.([A-Za-z][\w-]*)/g)].map(([, id]) => id!);
    const last = spec.steps.findLast((step) => step.deliver === undefined)?.id;
    for (const id of new Set(read.length > 0 ? read : [last ?? '']))
      for (const { from } of exits.get(id) ?? []) this.lines.push(`  ${from} -.-> ${decision}`);
    return this.lines.join('\n');
  }

  /** @returns the ends of each step, by its id */
  private list(steps: readonly FlowStep[], entries: readonly Entry[]): Map<string, readonly Entry[]> {
    const exits = new Map<string, readonly Entry[]>();
    for (const [at, step] of steps.entries()) {
      const needs = step.needs ?? (at === 0 ? [] : [steps[at - 1]!.id]);
      const before = needs.length === 0 ? entries : needs.flatMap((id) => exits.get(id) ?? []);
      exits.set(step.id, this.step(step, before));
    }
    return exits;
  }

  private step(step: FlowStep, before: readonly Entry[]): readonly Entry[] {
    const [open, words, close] = shapeOf(step);
    const node = this.node(open, [step.id, ...words], close);
    for (const { from, label = step.when } of before) this.edge(from, node, label);
    const lists = stepsWithin(step);
    if (lists.length === 0) return [{ from: node }];
    const ends = lists.flatMap(({ steps, path }) => {
      const label = labelOf(step, path);
      const entry: Entry = { from: node, label };
      if (steps.length === 0) return [entry];
      const exits = this.list(steps, [entry]);
      const needed = new Set(steps.flatMap(({ needs }, at) => needs ?? (at === 0 ? [] : [steps[at - 1]!.id])));
      return steps.filter(({ id }) => !needed.has(id)).flatMap(({ id }) => exits.get(id)!);
    });
    const isComplete = step.branch !== undefined && step.branch.else !== undefined;
    return isComplete ? ends : [...ends, { from: node, label: step.branch === undefined ? undefined : 'else' }];
  }

  private node(open: string, words: readonly string[], close: string): string {
    this.nodes += 1;
    const name = `n${this.nodes}`;
    this.lines.push(`  ${name}${open}"${words.map(escaped).join('<br/>')}"${close}`);
    return name;
  }

  private edge(from: string, to: string, label: string | undefined): void {
    this.lines.push(label === undefined ? `  ${from} --> ${to}` : `  ${from} -- "${escaped(shortened(label))}" --> ${to}`);
  }
}

/** The shape of a step: cylinders are read from, boxes with double sides are acted in, hexagons are asked. */
function shapeOf(step: FlowStep): [open: string, words: string[], close: string] {
  if (step.enrich !== undefined) return ['[(', [`read ${step.enrich.connection}`, step.enrich.operation], ')]'];
  if (step.infer !== undefined) return ['{{', [`ask ${step.infer.route ?? step.infer.model}`], '}}'];
  if (step.validate !== undefined) return ['[', ['check'], ']'];
  if (step.map !== undefined) return ['[', ['compute'], ']'];
  if (step.deliver !== undefined) return ['[[', [`deliver to ${step.deliver.destination}`], ']]'];
  if (step.branch !== undefined) return ['{', [], '}'];
  if (step.forEach !== undefined) return ['[', ['for each item'], ']'];
  if (step.wait !== undefined) return ['([', ['wait'], '])'];
  if (step.review !== undefined) return ['([', ['ask a person'], '])'];
  if (step.call !== undefined && 'flow' in step.call) return ['[[', [`flow ${step.call.flow}`], ']]'];
  if (step.call !== undefined) return ['[[', [`act in ${step.call.connection}`, step.call.operation], ']]'];
  return ['[', [], ']'];
}

function labelOf({ branch, forEach }: FlowStep, path: readonly (string | number)[]): string {
  if (path[0] === 'onError') return 'on error';
  if (forEach !== undefined) return `each ${forEach.as}`;
  const at = path.find((part) => typeof part === 'number');
  return at === undefined ? 'else' : (branch?.cases[at]?.when ?? '');
}

function shortened(label: string): string {
  const line = label.replaceAll(/\s+/g, ' ').trim();
  return line.length <= longestLabel ? line : `${line.slice(0, longestLabel - 1)}…`;
}

/** Mermaid reads some characters as its own. */
function escaped(text: string): string {
  return text.replaceAll(/[#"<>|`]/g, (char) => `#${char.codePointAt(0)};`);
}
