import { referencesOf } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import type { DocumentProblem } from './document-problem.js';

/** The most flows that call one another, the first one not counted. A run checks it again, because it keeps the versions that it began with. */
const deepestCalls = 5;

/** A call of a flow, and its place in the document. */
interface Call {
  readonly flow: string;
  readonly path: string[];
}

/** Problems of flows that call one another without an end, or too deep. */
export class FlowCalls {
  private readonly calls: ReadonlyMap<string, readonly Call[]>;

  /** @param documents all documents of one tenant, as they would be */
  constructor(documents: readonly Document[]) {
    this.calls = new Map(documents.flatMap((one) => (one.kind === 'Flow' ? [[one.metadata.name, callsOf(one)] as const] : [])));
  }

  problemsOf(document: Document): DocumentProblem[] {
    if (document.kind !== 'Flow') return [];
    const { name } = document.metadata;
    return callsOf(document).flatMap(({ flow, path }): DocumentProblem[] => {
      const back = this.wayTo(name, flow);
      if (back !== undefined)
        return [
          {
            path,
            message: `calls the flow itself: ${[name, ...back].join(' → ')}; a flow must not call itself, directly or through others`,
          },
        ];
      const chain = [...this.longestTo(name, []), name, ...this.longestFrom(flow, [])];
      if (chain.length - 1 <= deepestCalls) return [];
      return [
        { path, message: `makes flows call one another ${chain.length - 1} deep: ${chain.join(' → ')}; ${deepestCalls} is the most` },
      ];
    });
  }

  /** The names from one flow to another, both included; undefined if it never calls it. */
  private wayTo(target: string, from: string, seen: Set<string> = new Set()): string[] | undefined {
    if (from === target) return [from];
    if (seen.has(from)) return undefined;
    seen.add(from);
    for (const { flow } of this.calls.get(from) ?? []) {
      const way = this.wayTo(target, flow, seen);
      if (way !== undefined) return [from, ...way];
    }
    return undefined;
  }

  /** The longest chain that begins with a flow. A chain that is too long already, or comes back, goes no further. */
  private longestFrom(from: string, before: readonly string[]): string[] {
    if (before.includes(from) || before.length > deepestCalls) return [];
    const chains = (this.calls.get(from) ?? []).map(({ flow }) => this.longestFrom(flow, [...before, from]));
    return [from, ...longest(chains)];
  }

  /** The longest chain that leads to a flow, without it. */
  private longestTo(target: string, after: readonly string[]): string[] {
    if (after.includes(target) || after.length > deepestCalls) return [];
    const callers = [...this.calls].filter(([, calls]) => calls.some(({ flow }) => flow === target)).map(([name]) => name);
    return longest(callers.map((caller) => (after.includes(caller) ? [] : [...this.longestTo(caller, [...after, target]), caller])));
  }
}

function longest(chains: readonly string[][]): string[] {
  return chains.reduce((found, chain) => (chain.length > found.length ? chain : found), []);
}

function callsOf(document: Document): Call[] {
  return referencesOf(document).flatMap(({ kinds, name, path }) =>
    kinds.includes('Flow') && path.at(-2) === 'call' ? [{ flow: name, path }] : [],
  );
}
