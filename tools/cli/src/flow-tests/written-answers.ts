import type { WrittenAnswer } from './flow-test.js';

/** The answers of a case, by the path of the step. */
export type Answers = Readonly<Record<string, WrittenAnswer | WrittenAnswer[]>>;

/** Gives the answers of each step one after the other, and the last one again after that. */
export class WrittenAnswers {
  private readonly used = new Map<string, number>();

  constructor(private readonly answers: Answers) {}

  /** @param step the path of the step; the answers of a step within others may also be written under its id alone */
  next(step: string): WrittenAnswer | undefined {
    const name = [step, idOf(step)].find((one) => Object.hasOwn(this.answers, one));
    const given = name === undefined ? undefined : this.answers[name];
    if (name === undefined || !Array.isArray(given)) return given as WrittenAnswer | undefined;
    const at = this.used.get(name) ?? 0;
    this.used.set(name, at + 1);
    return given[Math.min(at, given.length - 1)];
  }
}

/** The id of a step in its path. */
export function idOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
