import { z } from 'zod';
import type { Json } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import type { Expression } from '#libs/expressions';
import type { Extraction } from '#libs/signatures';

/** The input of the expressions of a source. Header names are in lower case. */
export interface ExpressionInput {
  body: Json;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The fields that the expressions of a source read from an event; null if no expression yields a usable value. */
export interface EventFields {
  eventId: string | null;
  type: string | null;
  customer: string | null;
  /** RFC 3339, UTC. */
  occurredAt: string | null;
  /** The fields of which an expression failed. */
  failed: readonly EventField[];
}

export const eventFields = ['eventId', 'type', 'customer', 'occurredAt'] as const;
export type EventField = (typeof eventFields)[number];

/** Returns the usable form of a field's value; null if it is not usable. */
const forms: Readonly<Record<EventField, (value: Json | undefined) => string | null>> = {
  eventId: usableText,
  type: usableText,
  customer: usableText,
  occurredAt: instant,
};

/** A partner waits for the response meanwhile. */
const limits = { timeoutMs: 50 };

/** Reads the fields of events with the expressions of a source, compiled once. */
export class EventFieldReader {
  private readonly expressions: Readonly<Record<EventField, readonly Expression[]>>;
  private readonly typeDetail: Expression | undefined;

  /** @throws ExpressionInvalid */
  constructor(extraction: Extraction) {
    const compile = (text: string): Expression => compileExpression(text, limits);
    this.expressions = {
      eventId: extraction.eventId.map(compile),
      type: extraction.type.map(compile),
      customer: extraction.customer.map(compile),
      occurredAt: extraction.occurredAt.map(compile),
    };
    this.typeDetail = extraction.typeDetail === undefined ? undefined : compile(extraction.typeDetail);
  }

  /** An expression that fails counts as one without a value. A verified event must be recorded: refused, it would be lost. */
  async read(input: ExpressionInput): Promise<EventFields> {
    const failed: EventField[] = [];
    const found: Record<EventField, string | null> = { eventId: null, type: null, customer: null, occurredAt: null };
    for (const field of eventFields) {
      for (const expression of this.expressions[field]) {
        const value = expression.evaluate(input);
        found[field] = forms[field](value instanceof Promise ? await valueOf(value, () => failed.push(field)) : value);
        if (found[field] !== null) break;
      }
    }
    if (found.type !== null && this.typeDetail !== undefined) {
      const value = this.typeDetail.evaluate(input);
      const detail = usableText(value instanceof Promise ? await valueOf(value, () => failed.push('type')) : value);
      if (detail !== null) found.type = usableText(`${found.type}.${detail}`) ?? found.type;
    }
    return { ...found, failed };
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

/** Text of 1 to 256 characters that fits a record's key and Postgres, without control characters. A number counts as its text; null for all else. */
export function usableText(value: Json | undefined): string | null {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || text.length === 0 || text.length > 256) return null;
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed() ? null : text;
}

/** Bounds of the years that RFC 3339 can write, with four digits. */
const yearZeroMs = -62_167_219_200_000;
const year10000Ms = 253_402_300_800_000;

/** Parses RFC 3339, or seconds since 1970; a number that would be after the year 5000 is milliseconds. Returns RFC 3339 in UTC, or null. */
export function instant(value: Json | undefined): string | null {
  const ms =
    typeof value === 'number' ? (value < 100_000_000_000 ? value * 1_000 : value) : typeof value === 'string' ? parseRfc3339(value) : NaN;
  return ms >= yearZeroMs && ms < year10000Ms ? new Date(ms).toISOString() : null;
}

const rfc3339 = z.iso.datetime({ offset: true });

/** NaN if the text is not RFC 3339, or names a time that does not exist. */
function parseRfc3339(text: string): number {
  const upperCase = text.toUpperCase(); // RFC 3339 allows `t` and `z`, too
  return rfc3339.safeParse(upperCase).success ? Date.parse(upperCase) : NaN;
}
