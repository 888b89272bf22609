import { isReservedCustomer } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import { LosslessNumber, asDoubles } from '#libs/json';
import type { Json } from '#libs/json';
import type { Extraction } from '#libs/signatures';
import { instant } from './instant.js';

/** The fields that expressions read from an event; null if no expression yields a usable value. */
export interface EventFields {
  eventId: string | null;
  type: string | null;
  customer: string | null;
  /** RFC 3339, UTC. */
  occurredAt: string | null;
  /** Why a field is null although an expression was meant to find it: the expression failed, or its value is no such field. */
  problems: Readonly<Partial<Record<EventField, FieldProblem>>>;
}

export const eventFields = ['eventId', 'type', 'customer', 'occurredAt'] as const;
export type EventField = (typeof eventFields)[number];
export type FieldProblem = 'failed' | 'unusable';

/** Returns the usable form of a field's value; null if it is not usable. */
const forms: Readonly<Record<EventField, (value: Json | undefined) => string | null>> = {
  eventId: usableText,
  type: usableText,
  customer: usableCustomer,
  occurredAt: (value) => instant(asDoubles(value) as Json | undefined),
};

/** A partner waits for the response meanwhile. */
const limits = { timeoutMs: 50 };

/** Reads the fields of events with the expressions of a source or pull, compiled once. */
export class EventFieldReader {
  private readonly expressions: Readonly<Record<EventField, readonly Expression[]>>;
  private readonly typeDetail: Expression | undefined;

  /** @throws ExpressionInvalid */
  constructor(extraction: Extraction, tenant: string) {
    const compile = (text: string): Expression => compileExpression(text, { ...limits, owner: tenant });
    this.expressions = {
      eventId: extraction.eventId.map(compile),
      type: extraction.type.map(compile),
      customer: extraction.customer.map(compile),
      occurredAt: extraction.occurredAt.map(compile),
    };
    this.typeDetail = extraction.typeDetail === undefined ? undefined : compile(extraction.typeDetail);
  }

  /**
   * Reads the fields. An expression that fails counts as one without a value. A verified event must be recorded: refused, it would be lost.
   * @param input the data that the expressions see
   */
  async read(input: object): Promise<EventFields> {
    const problems: Partial<Record<EventField, FieldProblem>> = {};
    const found: Record<EventField, string | null> = { eventId: null, type: null, customer: null, occurredAt: null };
    for (const field of eventFields) {
      for (const expression of this.expressions[field]) {
        const value = expression.evaluate(input);
        const settled = value instanceof Promise ? await valueOf(value, () => (problems[field] = 'failed')) : value;
        found[field] = forms[field](settled);
        if (found[field] !== null) break;
        if (settled !== undefined && settled !== null) problems[field] ??= 'unusable';
      }
    }
    if (found.type !== null && this.typeDetail !== undefined) {
      const value = this.typeDetail.evaluate(input);
      const detail = usableText(value instanceof Promise ? await valueOf(value, () => (problems.type = 'failed')) : value);
      if (detail !== null) found.type = usableText(`${found.type}.${detail}`) ?? found.type;
    }
    return { ...found, problems };
  }
}

async function valueOf(evaluation: Promise<Json | undefined>, onFailure: () => void): Promise<Json | undefined> {
  try {
    return await evaluation;
  } catch (error) {
    if (!(error instanceof ExpressionFailed)) throw error;
    onFailure();
    return undefined;
  }
}

/** Text of 1 to 256 characters that fits a record's key and Postgres, without control characters. A number counts as its digits, as they were written; null for all else. */
export function usableText(value: Json | undefined): string | null {
  const text = typeof value === 'number' || value instanceof LosslessNumber ? String(value) : value;
  if (typeof text !== 'string' || text.length === 0 || text.length > 256) return null;
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed() ? null : text;
}

/** A {@link usableText} that is not a key which Millrace itself assigns; null for all else. */
export function usableCustomer(value: Json | undefined): string | null {
  const text = usableText(value);
  return text === null || isReservedCustomer(text) ? null : text;
}
