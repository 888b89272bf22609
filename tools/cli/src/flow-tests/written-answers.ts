import { CliFailure } from '../failure.js';
import type { WrittenAnswer } from './flow-test.js';

/** The answers of a case, by the path of the step. */
export type Answers = Readonly<Record<string, WrittenAnswer | WrittenAnswer[]>>;

/** Gives the answers of each step one after the other, and the last one again after that. */
export class WrittenAnswers {
  private readonly used = new Map<string, number>();

  constructor(private readonly answers: Answers) {}

  /** @param step the path of the step; the answers of a step within others may also be written under its id alone */
  next(step: string): WrittenAnswer | undefined {
    const name = nameIn(this.answers, step);
    const given = name === undefined ? undefined : this.answers[name];
    if (name === undefined || !Array.isArray(given)) return given as WrittenAnswer | undefined;
    const at = this.used.get(name) ?? 0;
    this.used.set(name, at + 1);
    return given[Math.min(at, given.length - 1)];
  }
}

/** The name under which the answers of a step are written: its path or its id. Undefined: there is none. */
export function nameIn(answers: Answers, step: string): string | undefined {
  return [step, idOf(step)].find((one) => Object.hasOwn(answers, one));
}

/** A case cannot be tested, because a step has no answer, or none that it takes. */
export class AnswerUnusable extends CliFailure {
  constructor(
    /** The path of the step. */
    readonly step: string,
    message: string,
  ) {
    super(message, 'unusable');
  }
}

/** The id of a step in its path. */
export function idOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
